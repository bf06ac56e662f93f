"""What the expressions of a ValidatingAdmissionPolicy say about a write.

Source: Kubernetes reference, Validating Admission Policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from msgspec import Struct

from podkeeper.api.cel import Budget, types
from podkeeper.apiserver.admission import expressions
from podkeeper.apiserver.admission.expressions import Compiled, Composed, Conditions, ExpressionFailed, Variables
from podkeeper.apiserver.admission.policies.definitions import Tree
from podkeeper.apiserver.admission.policies.relevance import Invocation

_LONGEST_MESSAGE = 5 * 1024
_LONGEST_ANNOTATION = 10 * 1024


class Validation(Struct, frozen=True):
    """One entry of ``validations``."""

    expression: Compiled
    message: str
    message_expression: Compiled | None
    reason: str


class Program(Struct, frozen=True):
    """The expressions of a policy."""

    conditions: Conditions
    variables: Mapping[str, Compiled]
    validations: Sequence[Validation]
    annotations: Sequence[tuple[str, Compiled]]


class Denial(Struct, frozen=True):
    """What a policy says against a write; ``index`` is that of the validation. ``error`` is no_error where an
    expression is false, else what metrics call its failure; ``seconds`` is how long it took."""

    message: str
    reason: str = ""
    index: int = 0
    error: str = "invalid_error"
    seconds: float = 0.0


def compile_policy(spec: Tree) -> Program:
    """The program of a ValidatingAdmissionPolicy's spec."""
    has_params = bool(spec.get("paramKind"))
    texts = [(each["name"], each["expression"]) for each in spec.get("variables") or ()]
    variables, composed = expressions.compose(
        texts, lambda known: expressions.environment_of(Variables(has_params, composed=known))
    )
    environment = expressions.environment_of(Variables(has_params, composed=composed))
    plain = expressions.environment_of(Variables(has_params))
    conditions = [(each["name"], each["expression"]) for each in spec.get("matchConditions") or ()]

    def validation(tree: Tree) -> Validation:
        said = tree.get("messageExpression")
        return Validation(
            expressions.compile_text(tree["expression"], environment, types.BOOL),
            (tree.get("message") or "").strip(),
            expressions.compile_text(said, environment, types.STRING) if said else None,
            tree.get("reason") or "Invalid",
        )

    return Program(
        Conditions(conditions, plain),
        variables,
        [validation(each) for each in spec.get("validations") or ()],
        [
            (each["key"], expressions.compile_text(each["valueExpression"], environment, (types.STRING, types.NULL)))
            for each in spec.get("auditAnnotations") or ()
        ],
    )


def judge(given: Invocation[Program], names: dict[str, Any], noted: dict[str, list[str]]) -> list[tuple[Denial, bool]]:
    """The denials of one invocation, and whether each counts whatever the binding's actions are."""
    definition = given.definition
    if given.problem:
        return [] if definition.ignores_failures else [(Denial(given.problem), True)]
    program = definition.program
    budget = Budget()
    names = names | {"params": given.param}
    names["variables"] = Composed(program.variables, names, budget)
    try:
        if not program.conditions.hold(names, budget):
            return []
    except ExpressionFailed as failure:
        return [] if definition.ignores_failures else [(Denial(str(failure)), False)]
    denials: list[tuple[Denial, bool]] = []
    for index, validation in enumerate(program.validations):
        denial = _denial(validation, index, names, budget, definition.ignores_failures)
        if denial is not None:
            denials.append((denial, False))
    for key, expression in program.annotations:
        problem = _note(f"{definition.name}/{key}", expression, names, noted)
        if problem and not definition.ignores_failures:
            denials.append((Denial(problem), True))
    return denials


def _denial(
    validation: Validation, index: int, names: Mapping[str, Any], budget: Budget, ignores: bool
) -> Denial | None:
    started = perf_counter()
    try:
        if validation.expression.evaluate(names, budget):
            return None
    except ExpressionFailed as failure:
        took = perf_counter() - started
        return None if ignores else Denial(str(failure), index=index, error=failure.kind, seconds=took)
    took = perf_counter() - started
    return Denial(_message(validation, names, budget), validation.reason, index, "no_error", took)


def _message(validation: Validation, names: Mapping[str, Any], budget: Budget) -> str:
    """What the message expression says, if that is something; else the message; else the expression itself."""
    value: Any = None
    if validation.message_expression is not None:
        try:
            value = validation.message_expression.evaluate(names, budget)
        except ExpressionFailed:
            value = None  # the message is there for that
    if isinstance(value, str):
        said = value.strip()
        if said and "\n" not in said and len(said) <= _LONGEST_MESSAGE:
            return said
    return validation.message or f"failed expression: {validation.expression.text.strip()}"


def _note(key: str, expression: Compiled, names: Mapping[str, Any], noted: dict[str, list[str]]) -> str:
    """Notes an audit annotation; what went wrong, if something did."""
    try:
        value = expression.evaluate(names, Budget())
    except ExpressionFailed as failure:
        return str(failure)
    text = value.strip()[:_LONGEST_ANNOTATION] if isinstance(value, str) else ""
    if text and text not in noted.setdefault(key, []):
        noted[key].append(text)
    return ""
