"""The authorizers in their order: system:masters, then node and RBAC or what the configuration names. Decisions of RBAC
are remembered until a role or binding changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.api.user import MASTERS_GROUP, UserInfo
from podkeeper.apiserver.authorization.node import NodeAuthorizer
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.requestinfo import RequestInfo

_CAPACITY = 65536
_NODES_GROUP = "system:nodes"


class Decision(Struct, frozen=True):
    """Allowed or not, and why (may be empty). ``denied``: somebody said no, instead of nobody yes."""

    allowed: bool
    reason: str = ""
    denied: bool = False


class Layer(Protocol):
    """One authorizer in the order."""

    async def opinion(self, user: UserInfo, info: RequestInfo) -> tuple[bool | None, str]:
        """Allowed, refused, or no opinion (None); and why."""
        ...


class Authorizer:
    """Judges requests."""

    def __init__(self, rbac: RbacIndex, node: NodeAuthorizer, layers: Sequence[Layer] | None = None) -> None:
        """``layers`` in their order; node and RBAC by default."""
        self.rbac = rbac
        self._layers: Sequence[Layer] = (NodeLayer(node), RbacLayer(rbac)) if layers is None else layers
        self._remembers = all(isinstance(each, NodeLayer | RbacLayer) for each in self._layers)
        self._allowed: set[tuple[Any, ...]] = set()
        self._generation = -1

    async def require(self, user: UserInfo, info: RequestInfo) -> None:
        """Raises 403 unless the user may do this."""
        if MASTERS_GROUP in user.groups:
            return
        if self._generation != self.rbac.generation:
            self._allowed.clear()
            self._generation = self.rbac.generation
        key = _key(user, info)
        if key in self._allowed:
            return
        decision = await self.decide(user, info)
        if not decision.allowed:
            raise forbidden(user, info, decision.reason)
        if self._remembers and _NODES_GROUP not in user.groups:
            if len(self._allowed) >= _CAPACITY:
                self._allowed.clear()
            self._allowed.add(key)

    async def decide(self, user: UserInfo, info: RequestInfo) -> Decision:
        """The answer with its reason, as SubjectAccessReview gives it."""
        if MASTERS_GROUP in user.groups:
            return Decision(True)
        reasons = []
        for layer in self._layers:
            allowed, why = await layer.opinion(user, info)
            if allowed:
                return Decision(True, why)
            reasons += [why] if why else []
            if allowed is False:
                return Decision(False, "\n".join(reasons), denied=True)
        return Decision(False, "\n".join(reasons))


class NodeLayer:
    """The node authorizer in the order."""

    def __init__(self, node: NodeAuthorizer) -> None:
        self._node = node

    async def opinion(self, user: UserInfo, info: RequestInfo) -> tuple[bool | None, str]:
        """See Layer."""
        if _NODES_GROUP not in user.groups:
            return None, ""
        allowed, why = await self._node.decide(user, info)
        return (True, "") if allowed else (None, why)


class RbacLayer:
    """RBAC in the order."""

    def __init__(self, rbac: RbacIndex) -> None:
        self._rbac = rbac

    async def opinion(self, user: UserInfo, info: RequestInfo) -> tuple[bool | None, str]:
        """See Layer."""
        grant = self._rbac.find(user, info)
        if grant is not None:
            return True, grant.reason()
        missing = self._rbac.missing_roles(user, info.namespace)
        if not missing:
            return None, ""
        listed = missing[0] if len(missing) == 1 else "[" + ", ".join(missing) + "]"
        return None, f"RBAC: {listed}"


def _key(user: UserInfo, info: RequestInfo) -> tuple[Any, ...]:
    who = (user.name, user.groups)
    if not info.is_resource:
        return (who, info.verb, info.path)
    return (who, info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)


def forbidden(user: UserInfo, info: RequestInfo, reason: str = "") -> ApiError:
    """403 in upstream's words."""
    tail = f": {reason}" if reason else ""
    if not info.is_resource:
        message = f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}"{tail}'
        return ApiError(403, "Forbidden", message)
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    what = f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" {where}{tail}'
    qualified = f"{info.resource}.{info.group}" if info.group else info.resource
    subject = f'{qualified} "{info.name}"' if info.name else qualified
    return ApiError(
        403, "Forbidden", f"{subject} is forbidden: {what}", group=info.group, kind=info.resource, name=info.name
    )
