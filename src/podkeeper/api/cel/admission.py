"""What expressions of webhooks and admission policies may name.

    object, oldObject, request, namespaceObject, params, variables, authorizer, authorizer.requestResource

Source: Kubernetes reference, Dynamic Admission Control, "matchConditions"; Validating Admission Policy, "Validation
Expression"; Mutating Admission Policy.
"""

from __future__ import annotations

from functools import cache

from msgspec import Struct

from podkeeper.api.cel import Declaration, Environment, types
from podkeeper.api.cel.checker import StructType
from podkeeper.api.cel.declarations import STRING, of_builtin, of_type
from podkeeper.api.cel.libraries import LIBRARIES, MUTATION_LIBRARIES
from podkeeper.api.cel.libraries.authz import AUTHORIZER, RESOURCE_CHECK
from podkeeper.api.cel.types import Type

_DYN = of_type(types.DYN)
#: What the expressions of a mutation give.
OBJECT, JSON_PATCH = types.object_of("Object"), types.list_of(types.object_of("JSONPatch"))
_STEP = StructType(
    types.object_of("JSONPatch"), {"op": types.STRING, "path": types.STRING, "from": types.STRING, "value": types.DYN}
)


def _struct(name: str) -> StructType | None:
    """What expressions may build: ``Object``, parts of it by their paths (``Object.spec``), and ``JSONPatch``."""
    if name == "JSONPatch":
        return _STEP
    if name == "Object" or name.startswith("Object."):
        return StructType(types.object_of(name))
    return None


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
    has_authorizer: bool = True
    composed: Declaration | None = None
    object_type: Declaration = _DYN
    params_type: Declaration = _DYN

    def declared(self) -> dict[str, Type | Declaration]:
        """Names and types."""
        found: dict[str, Type | Declaration] = {
            "object": self.object_type,
            "oldObject": self.object_type,
            "request": _request(),
        }
        if self.has_authorizer:
            found |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
        if self.has_params:
            found["params"] = self.params_type
        if self.has_namespace:
            found["namespaceObject"] = of_builtin("core/v1.Namespace")
        if self.composed is not None:
            found["variables"] = self.composed
        return found


def environment_of(variables: Variables) -> Environment:
    """Where the expressions of an owner are compiled."""
    return Environment(variables.declared())


def patching_environment_of(variables: Variables) -> Environment:
    """The same for expressions that give parts of objects, or patches."""
    return Environment(variables.declared(), (*LIBRARIES, *MUTATION_LIBRARIES), structs=_struct)


def composed(fields: dict[str, Declaration]) -> Declaration:
    """The declaration of ``variables``."""
    wire = {name: name for name in fields}
    return Declaration(types.object_of("kubernetes.variables"), 2, fields=fields, wire=wire, is_value=True)
