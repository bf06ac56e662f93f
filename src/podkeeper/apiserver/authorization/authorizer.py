"""The authorizers in their order: system:masters, then node and RBAC or what the configuration names. Decisions of RBAC
are remembered until a role or binding changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.api.gojson.quoting import quoted
from podkeeper.api.user import MASTERS_GROUP, UserInfo
from podkeeper.apiserver.authorization.node import NodeAuthorizer, node_name
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.exposition import Family, Sample

_CAPACITY = 65536
_NODES_GROUP = "system:nodes"


class Decision(Struct, frozen=True):
    """Allowed or not, and why (may be empty). ``denied``: somebody said no, instead of nobody yes."""

    allowed: bool
    reason: str = ""
    denied: bool = False


class Layer(Protocol):
    """One authorizer in the order. ``kind`` is Node, RBAC or Webhook; ``unresolved`` says why it cannot list what a
    user may, nothing if it can or has no say."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    async def opinion(self, user: UserInfo, info: RequestInfo) -> tuple[bool | None, str]:
        """Allowed, refused, or no opinion (None); and why."""
        ...

    def unresolved(self, user: UserInfo) -> str: ...

    async def close(self) -> None:
        """It judges no more."""
        ...


class _Tally:
    """Decisions of one kind by one layer."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Authorizer:
    """Judges requests by ``layers`` in their order."""

    def __init__(self, rbac: RbacIndex, layers: Sequence[Layer]) -> None:
        self.rbac = rbac
        self._tallies: dict[tuple[str, str, str], _Tally] = {}
        self._allowed: dict[tuple[Any, ...], _Tally] = {}
        self._generation = -1
        self.use(layers)

    def use(self, layers: Sequence[Layer]) -> Sequence[Layer]:
        """Others judge from now on; returns those before them."""
        before = getattr(self, "_layers", ())
        self._layers: Sequence[Layer] = layers
        self._remembers = all(isinstance(each, NodeLayer | RbacLayer) for each in layers)
        self._allowed.clear()
        return before

    async def require(self, user: UserInfo, info: RequestInfo) -> None:
        """Raises 403 unless the user may do this."""
        if MASTERS_GROUP in user.groups:
            return
        if self._generation != self.rbac.generation:
            self._allowed.clear()
            self._generation = self.rbac.generation
        key = _key(user, info)
        known = self._allowed.get(key)
        if known is not None:
            known.count += 1
            return
        decision, tally = await self._decide(user, info)
        if not decision.allowed:
            raise refusal(user, info, decision)
        if self._remembers and _NODES_GROUP not in user.groups:
            if len(self._allowed) >= _CAPACITY:
                self._allowed.clear()
            self._allowed[key] = tally

    async def decide(self, user: UserInfo, info: RequestInfo) -> Decision:
        """The answer with its reason, as SubjectAccessReview gives it."""
        if MASTERS_GROUP in user.groups:
            return Decision(True)
        return (await self._decide(user, info))[0]

    def unresolved(self, user: UserInfo) -> Sequence[str]:
        """Why a list of what the user may is not complete."""
        return [why for layer in self._layers if (why := layer.unresolved(user))]

    def families(self) -> Sequence[Family]:
        """Decisions by authorizer."""

        def read() -> Iterator[Sample]:
            for (kind, name, decision), tally in sorted(self._tallies.items()):
                yield {"decision": decision, "name": name, "type": kind}, tally.count

        return (Family("apiserver_authorization_decisions_total", "counter", "Decisions by authorizer.", read),)

    async def _decide(self, user: UserInfo, info: RequestInfo) -> tuple[Decision, _Tally]:
        reasons = []
        for layer in self._layers:
            allowed, why = await layer.opinion(user, info)
            if allowed:
                return Decision(True, why), self._note(layer, "allowed")
            reasons += [why] if why else []
            if allowed is False:
                return Decision(False, "\n".join(reasons), denied=True), self._note(layer, "denied")
        return Decision(False, "\n".join(reasons)), _Tally()

    def _note(self, layer: Layer, decision: str) -> _Tally:
        tally = self._tallies.setdefault((layer.kind, layer.name, decision), _Tally())
        tally.count += 1
        return tally


class NodeLayer:
    """The node authorizer in the order."""

    kind = "Node"

    def __init__(self, node: NodeAuthorizer, name: str = "node") -> None:
        self._node, self.name = node, name

    async def opinion(self, user: UserInfo, info: RequestInfo) -> tuple[bool | None, str]:
        """See Layer."""
        if _NODES_GROUP not in user.groups:
            return None, ""
        allowed, why = await self._node.decide(user, info)
        return (True, "") if allowed else (None, why)

    def unresolved(self, user: UserInfo) -> str:
        """See Layer."""
        return "node authorizer does not support user rule resolution" if node_name(user) else ""

    async def close(self) -> None:
        """See Layer."""


class RbacLayer:
    """RBAC in the order."""

    kind = "RBAC"

    def __init__(self, rbac: RbacIndex, name: str = "rbac") -> None:
        self._rbac, self.name = rbac, name

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

    def unresolved(self, user: UserInfo) -> str:
        """See Layer."""
        return ""

    async def close(self) -> None:
        """See Layer."""


def _key(user: UserInfo, info: RequestInfo) -> tuple[Any, ...]:
    who = (user.name, user.groups)
    if not info.is_resource:
        return (who, info.verb, info.path)
    return (who, info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)


class Denied(ApiError):
    """403 because somebody said no, instead of nobody yes."""


def refusal(user: UserInfo, info: RequestInfo, decision: Decision) -> ApiError:
    """403 for a decision that is none to allow."""
    return forbidden(user, info, decision.reason, Denied if decision.denied else ApiError)


def forbidden(user: UserInfo, info: RequestInfo, reason: str = "", kind: type[ApiError] = ApiError) -> ApiError:
    """403 in upstream's words."""
    tail, who = f": {reason}" if reason else "", f"User {quoted(user.name)} cannot {info.verb}"
    if not info.is_resource:
        return kind(403, "Forbidden", f"forbidden: {who} path {quoted(info.path)}{tail}", detailed=True)
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f"in the namespace {quoted(info.namespace)}" if info.namespace else "at the cluster scope"
    what = f"{who} resource {quoted(resource)} in API group {quoted(info.group)} {where}{tail}"
    qualified = f"{info.resource}.{info.group}" if info.group else info.resource
    subject = f"{qualified} {quoted(info.name)}" if info.name else qualified
    return kind(
        403, "Forbidden", f"{subject} is forbidden: {what}", group=info.group, kind=info.resource, name=info.name
    )
