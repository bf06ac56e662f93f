"""The authorizers in their order: system:masters, node, RBAC. Decisions of RBAC are remembered until a role or
binding changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from podkeeper.api.errors import ApiError
from podkeeper.api.user import MASTERS_GROUP, UserInfo
from podkeeper.apiserver.authorization.node import NodeAuthorizer
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.requestinfo import RequestInfo

_CAPACITY = 65536
_NODES_GROUP = "system:nodes"


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or not, and why (may be empty)."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Judges requests."""

    def __init__(self, rbac: RbacIndex, node: NodeAuthorizer) -> None:
        self.rbac, self._node = rbac, node
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
        if _NODES_GROUP not in user.groups:
            if len(self._allowed) >= _CAPACITY:
                self._allowed.clear()
            self._allowed.add(key)

    async def decide(self, user: UserInfo, info: RequestInfo) -> Decision:
        """The answer with its reason, as SubjectAccessReview gives it."""
        if MASTERS_GROUP in user.groups:
            return Decision(True)
        reasons = []
        if _NODES_GROUP in user.groups:
            allowed, why = await self._node.decide(user, info)
            if allowed:
                return Decision(True)
            reasons += [why] if why else []
        grant = self.rbac.find(user, info)
        if grant is not None:
            return Decision(True, grant.reason())
        missing = self.rbac.missing_roles(user, info.namespace)
        if missing:
            listed = missing[0] if len(missing) == 1 else "[" + ", ".join(missing) + "]"
            reasons.append(f"RBAC: {listed}")
        return Decision(False, "\n".join(reasons))


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
