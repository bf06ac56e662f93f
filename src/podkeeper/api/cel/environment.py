"""Where expressions are compiled: the variables, the libraries of a version of the API, and programs to run.

text -> lexer -> parser (macros) -> checker -> interpreter -> Program.evaluate
                                        \\-> estimation -> Program.estimate
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podkeeper.api.cel import costs, validators
from podkeeper.api.cel.checker import Checked, Scope, Structs, check
from podkeeper.api.cel.closures import MISFITS, Frame
from podkeeper.api.cel.costs import Budget, BudgetExceeded
from podkeeper.api.cel.declarations import Declaration, of_type
from podkeeper.api.cel.estimation import Sizes, estimate
from podkeeper.api.cel.interpreter import compile_tree
from podkeeper.api.cel.libraries import LIBRARIES
from podkeeper.api.cel.library import Library, Version, functions_of, opaque_types
from podkeeper.api.cel.parser import parse
from podkeeper.api.cel.ranges import Range
from podkeeper.api.cel.source import CelError, Issue
from podkeeper.api.cel.types import BOOL, NULL, Type
from podkeeper.api.cel.values import NoSuchOverload, Value
from podkeeper.api.cel.views import adapt

NEWEST: Version = (1, 36)


class WrongType(CelError):
    """An expression of another type than was asked for. ``actual`` is its type."""

    def __init__(self, text: str, expected: tuple[Type, ...], actual: Type) -> None:
        self.actual = actual
        names = ["null_type" if each == NULL else str(each) for each in expected]  # here alone it is called so
        wanted = names[0] if len(names) == 1 else f"one of [{' '.join(names)}]"
        super().__init__(text, [Issue(0, f"must evaluate to {wanted}")])


class Environment:
    """Compiles expressions over some variables.

    ``variables`` gives each variable a type, or a Declaration, by whose fields it is checked and by whose sizes costs
    are estimated. ``structs`` gives the messages that may be built. ``homogeneous`` refuses lists of several types,
    and ``optimize`` computes constants once, both as Kubernetes does; costs change with them.
    """

    def __init__(
        self,
        variables: Mapping[str, Type | Declaration],
        libraries: Iterable[Library] = LIBRARIES,
        version: Version = NEWEST,
        structs: Structs = lambda _: None,
        homogeneous: bool = True,
        optimize: bool = True,
    ) -> None:
        self.variables = {
            name: each if isinstance(each, Declaration) else of_type(each) for name, each in variables.items()
        }
        functions = functions_of(each for each in libraries if each.since <= version)
        self._scope = Scope(self.variables, functions, structs, opaque_types(functions), homogeneous)
        self._optimize = optimize

    def compile(self, text: str, expected: Type | tuple[Type, ...] | None = BOOL) -> Program:
        """A program of a text, of one of the expected types (None: of any). Raises CelError.

        As Kubernetes compiles, an expression whose type only its values tell has none of the expected ones."""
        root = parse(text)
        checked = check(text, root, self._scope)
        issues = validators.issues(checked)
        if issues:
            raise CelError(text, issues)
        wanted = (expected,) if isinstance(expected, Type) else expected
        actual = checked.type_of(checked.actual(root))
        if wanted is not None and actual not in wanted:
            raise WrongType(text, wanted, actual)
        return Program(checked, self.variables, self._optimize)


class Program:
    """A compiled expression. It holds no state of runs: threads may share it."""

    def __init__(self, checked: Checked, variables: Mapping[str, Declaration], optimize: bool) -> None:
        self._checked = checked
        self._variables = variables
        self._declared = {name: variables[name] for name in sorted(checked.used)}
        self._run, self._slots = compile_tree(checked, optimize)

    def __repr__(self) -> str:
        return f"Program({self.text!r})"

    @property
    def text(self) -> str:
        return self._checked.text

    @property
    def result_type(self) -> Type:
        return self._checked.type_of(self._checked.actual(self._checked.root))

    @property
    def uses(self) -> frozenset[str]:
        """The variables that it reads; a rule that uses ``oldSelf`` is a transition rule."""
        return frozenset(self._declared)

    def evaluate(self, activation: Mapping[str, Any], budget: Budget | None = None) -> Value:
        """The value for these variables, which are JSON trees or values. Raises EvaluationError, BudgetExceeded.

        A single evaluation stops at costs.PER_CALL_LIMIT; what it cost is taken from the budget, also when it failed.
        """
        value, _ = self.measure(activation, budget)
        return value

    def measure(self, activation: Mapping[str, Any], budget: Budget | None = None) -> tuple[Value, int]:
        """The value and what it cost."""
        variables = {
            name: adapt(declared, activation[name]) for name, declared in self._declared.items() if name in activation
        }
        frame = Frame(variables, self._slots, costs.PER_CALL_LIMIT)
        try:
            value = self._run(frame)
            frame.check()
        except MISFITS as error:
            raise NoSuchOverload from error
        finally:
            if budget is not None:
                budget.spend(frame.cost)
        return value, frame.cost

    def estimate(self, sizes: Sizes = lambda _: None) -> Range:
        """The least and the most that an evaluation may cost."""
        return estimate(self._checked, self._variables, sizes)


__all__ = ["NEWEST", "BudgetExceeded", "Environment", "Program", "WrongType"]
