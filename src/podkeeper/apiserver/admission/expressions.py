"""Expressions of webhooks and admission policies: which variables they have, and what these are for a write.

    object, oldObject, request, namespaceObject, params, variables, authorizer, authorizer.requestResource

Programs are compiled when first needed and kept by their text. Source: Kubernetes reference, Dynamic Admission
Control, "matchConditions", and Validating Admission Policy, "Validation Expression".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
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
from podkeeper.api.cel.declarations import STRING, of_builtin, of_type
from podkeeper.api.cel.libraries import LIBRARIES
from podkeeper.api.cel.libraries.authz import AUTHORIZER, RESOURCE_CHECK, Authorizer, Question, ResourceCheck
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import MISSING, MapValue, Value
from podkeeper.apiserver.admission.rights import Rights
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.webhooks import reviews

Tree = Mapping[str, Any]

_DYN = of_type(types.DYN)


class ExpressionFailed(Exception):
    """An expression that has no value, in the words of Kubernetes' admission. ``kind`` is what metrics call it."""

    def __init__(self, text: str, kind: str = "invalid_error") -> None:
        super().__init__(text)
        self.kind = kind


def _object(name: str, /, **fields: Declaration) -> Declaration:
    return Declaration(types.object_of(name), 2, fields=fields, wire={each: each for each in fields})


@cache
def _request() -> Declaration:
    kind = _object("kubernetes.GroupVersionKind", group=STRING, version=STRING, kind=STRING)
    resource = _object("kubernetes.GroupVersionResource", group=STRING, version=STRING, resource=STRING)
    texts = Declaration(types.list_of(types.STRING), 2, 1024, items=STRING)
    extra = Declaration(types.map_of(types.STRING, texts.type), 2, 1024, items=texts, keys=STRING)
    user = _object("kubernetes.UserInfo", username=STRING, uid=STRING, groups=texts, extra=extra)
    return _object(
        "kubernetes.AdmissionRequest",
        kind=kind,
        resource=resource,
        subResource=STRING,
        requestKind=kind,
        requestResource=resource,
        requestSubResource=STRING,
        name=STRING,
        namespace=STRING,
        operation=STRING,
        userInfo=user,
        dryRun=Declaration(types.BOOL),
        options=_DYN,
    )


class Variables(Struct, frozen=True):
    """What expressions of one owner may name. ``object_type`` and ``params_type`` are for checking types only."""

    has_params: bool = False
    has_namespace: bool = True
    composed: Declaration | None = None
    object_type: Declaration = _DYN
    params_type: Declaration = _DYN

    def declared(self) -> dict[str, Type | Declaration]:
        """Names and types."""
        found: dict[str, Type | Declaration] = {
            "object": self.object_type,
            "oldObject": self.object_type,
            "request": _request(),
            "authorizer": AUTHORIZER,
            "authorizer.requestResource": RESOURCE_CHECK,
        }
        if self.has_params:
            found["params"] = self.params_type
        if self.has_namespace:
            found["namespaceObject"] = of_builtin("core/v1.Namespace")
        if self.composed is not None:
            found["variables"] = self.composed
        return found


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


def environment_of(variables: Variables, libraries: Sequence[Any] = LIBRARIES, structs: Any = None) -> Environment:
    """Where the expressions of an owner are compiled."""
    if structs is None:
        return Environment(variables.declared(), libraries)
    return Environment(variables.declared(), libraries, structs=structs)


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
        environment = variables(_composed(dict(fields)))
        programs[name] = compiled = compile_text(text, environment, None)
        fields[name] = of_type(compiled.program.result_type if compiled.program else types.DYN)
    return programs, _composed(fields)


def _composed(fields: dict[str, Declaration]) -> Declaration:
    wire = {name: name for name in fields}
    return Declaration(types.object_of("kubernetes.variables"), 2, fields=fields, wire=wire, is_value=True)


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
