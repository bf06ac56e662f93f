"""Expressions of webhooks and admission policies: what their variables are for a write.

Programs are compiled when first needed and kept by their text. Source: Kubernetes reference, Dynamic Admission
Control, "matchConditions", and Validating Admission Policy, "Validation Expression".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.cel import (
    Budget,
    BudgetExceeded,
    CelError,
    Declaration,
    Environment,
    EvaluationError,
    Program,
    types,
)
from podkeeper.api.cel.admission import Variables, composed, environment_of
from podkeeper.api.cel.declarations import of_type
from podkeeper.api.cel.libraries.authz import Authorizer, Question, ResourceCheck
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import MISSING, MapValue, Value
from podkeeper.apiserver.admission.rights import Rights
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.webhooks import reviews

__all__ = ["Variables", "environment_of"]

Tree = Mapping[str, Any]


class ExpressionFailed(Exception):
    """An expression that has no value, in the words of Kubernetes' admission. ``kind`` is what metrics call it."""

    def __init__(self, text: str, kind: str = "invalid_error") -> None:
        super().__init__(text)
        self.kind = kind


class Compiled(Struct, frozen=True):
    """An expression: its program, or why it has none."""

    text: str
    program: Program | None = None
    error: str = ""

    def evaluate(self, activation: Mapping[str, Any], budget: Budget) -> Value:
        """The value. Raises ExpressionFailed."""
        if self.program is None:
            raise ExpressionFailed(f"compilation error: {self.error}", "compile_error")
        try:
            return self.program.evaluate(activation, budget)
        except BudgetExceeded as error:
            raise ExpressionFailed(str(error), "out_of_budget") from error
        except EvaluationError as error:
            raise ExpressionFailed(f"expression '{self.text}' resulted in error: {error}") from error


def compile_text(text: str, environment: Environment, expected: Type | tuple[Type, ...] | None) -> Compiled:
    """Compiles; a mistake in the expression shows when it is evaluated, as the owner's failure policy says."""
    try:
        return Compiled(text, environment.compile(text, expected))
    except CelError as error:
        return Compiled(text, error=f"compilation failed: {error}")


class Composed(MapValue):
    """``variables`` of a policy: each is computed when an expression asks for it, once for a write."""

    __slots__ = ("_activation", "_budget", "_known", "_programs")
    is_object = True

    def __init__(self, programs: Mapping[str, Compiled], activation: Mapping[str, Any], budget: Budget) -> None:
        self._programs, self._activation, self._budget = programs, activation, budget
        self._known: dict[str, Value] = {}

    def find(self, key: Value) -> Value:
        if key not in self._programs:
            return MISSING
        if key not in self._known:
            try:
                self._known[key] = self._programs[key].evaluate(self._activation, self._budget)
            except ExpressionFailed as error:
                raise EvaluationError(f'composited variable "{key}" fails to evaluate: {error}') from error
        return self._known[key]

    def __len__(self) -> int:
        return len(self._programs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._programs)


def compose(
    texts: Sequence[tuple[str, str]], variables: Callable[[Declaration], Environment]
) -> tuple[dict[str, Compiled], Declaration]:
    """Programs of a policy's variables, each of which may name those before it, and the declaration of them all."""
    programs: dict[str, Compiled] = {}
    fields: dict[str, Declaration] = {}
    for name, text in texts:
        environment = variables(composed(dict(fields)))
        programs[name] = compiled = compile_text(text, environment, None)
        fields[name] = of_type(compiled.program.result_type if compiled.program else types.DYN)
    return programs, composed(fields)


def activation(write: VersionedWrite, rights: Rights, namespace: Tree | None = None) -> dict[str, Any]:
    """The variables of a write, for evaluations within ``rights.settle``."""
    given, resource = write.attributes, write.resource
    asked = Question(
        group=resource.group,
        resource=resource.name,
        subresource=given.subresource,
        namespace=given.namespace,
        name=given.name,
    )
    return {
        "object": write.tree,
        "oldObject": write.old,
        "request": reviews.request(write, ""),
        "namespaceObject": namespace,
        "authorizer": Authorizer(rights.decide),
        "authorizer.requestResource": ResourceCheck(rights.decide, asked),
    }


class Conditions:
    """matchConditions of one owner: all must hold for a write to be of interest."""

    def __init__(self, conditions: Sequence[tuple[str, str]], environment: Environment) -> None:
        self._conditions = [compile_text(text, environment, types.BOOL) for _, text in conditions]

    def hold(self, variables: Mapping[str, Any], budget: Budget) -> bool:
        """Whether they do. One that is false decides, also beside one that fails. Raises ExpressionFailed."""
        failures = []
        for condition in self._conditions:
            try:
                if not condition.evaluate(variables, budget):
                    return False
            except ExpressionFailed as failure:
                failures.append(str(failure))
        if failures:
            raise ExpressionFailed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return True
