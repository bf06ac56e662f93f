"""Impersonation: who may act as another (``kubectl --as``). Each part of the identity is authorized by itself.

Constrained modes are tried first: each is for one kind of user, and asks besides whether the requester may do just this
request as such a user. Then the old verb ``impersonate``, with which everything may be done that the other one may.
Source: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/ and KEP-5284.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.errors import ApiError, internal
from podkeeper.api.user import ANONYMOUS, AUTHENTICATED_GROUP, MASTERS_GROUP, UNAUTHENTICATED_GROUP, UserInfo
from podkeeper.apiserver.authorization.authorizer import Authorizer, forbidden
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Request

#: Headers that ask for another identity, or for a part of one.
IMPERSONATION = frozenset({b"impersonate-user", b"impersonate-group", b"impersonate-uid"})
_EXTRA = b"impersonate-extra-"
_ACCOUNT, _NODE = "system:serviceaccount:", "system:node:"
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NODE_OF_TOKEN, _NODE_KEYS = (
    "authentication.kubernetes.io/node-name",
    "authentication.kubernetes.io/associated-node-keys",
)
_IDENTITIES = "authentication.k8s.io"
_KEY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9/_~!$&'()*+,;=:@%.-]+")
#: From so many groups or extra values on, a grant for all of them is asked for first.
_MANY = 4


class _Mode(Struct, frozen=True):
    """One way to impersonate. ``mode`` is empty for the old one."""

    authorizer: Authorizer
    requester: UserInfo
    wanted: UserInfo
    mode: str = ""

    async def user(self, info: RequestInfo) -> UserInfo:
        """The identity. Raises 403."""
        if self.mode:
            await self.authorizer.require(self.requester, replace(info, verb=f"impersonate-on:{self.mode}:{info.verb}"))
        wanted = self.wanted
        groups = await self._name(wanted)
        if wanted.uid:
            await self._require(_IDENTITIES, "uids", wanted.uid)
        await self._groups()
        await self._extra()
        return UserInfo(wanted.name, wanted.uid, _with_standard(wanted.name, groups), wanted.extra)

    async def _name(self, wanted: UserInfo) -> tuple[str, ...]:
        """Requires the name; the groups that go with it."""
        account, node = _account(wanted.name), _node(wanted.name)
        if account is not None:
            namespace, name = account
            await self._require(self._group, "serviceaccounts", name, namespace=namespace)
            return tuple(wanted.groups) or ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        if self.mode and node:
            await self._require(self._group, "nodes", "*" if self.mode == "associated-node" else node)
            return ("system:nodes",)
        await self._require(self._group, "users", wanted.name)
        return tuple(wanted.groups)

    async def _groups(self) -> None:
        groups = self.wanted.groups
        if self.mode and MASTERS_GROUP in groups:
            info = self._info(self._group, "groups", MASTERS_GROUP)
            raise forbidden(self.requester, info, "impersonating the system:masters group is not allowed")
        if self.mode and len(groups) >= _MANY and await self._may(self._info(self._group, "groups", "*")):
            return
        for group in groups:
            await self._require(self._group, "groups", group)

    async def _extra(self) -> None:
        extra = self.wanted.extra
        if self.mode and extra:
            why = wrong_extra(extra)
            if why:
                raise forbidden(self.requester, self._info(_IDENTITIES, "userextras", ""), why)
        many = max(len(extra), sum(map(len, extra.values()))) >= _MANY
        if self.mode and many and await self._may(self._info(_IDENTITIES, "userextras", "*", "*")):
            return
        for key, values in extra.items():
            for value in values:
                await self.authorizer.require(self.requester, self._info(_IDENTITIES, "userextras", value, key))

    @property
    def _group(self) -> str:
        """The API group of names and groups: they were core resources at first."""
        return _IDENTITIES if self.mode else ""

    async def _require(self, group: str, resource: str, name: str, *, namespace: str = "") -> None:
        info = replace(self._info(group, resource, name), namespace=namespace)
        await self.authorizer.require(self.requester, info)

    async def _may(self, info: RequestInfo) -> bool:
        return (await self.authorizer.decide(self.requester, info)).allowed

    def _info(self, group: str, resource: str, name: str, subresource: str = "") -> RequestInfo:
        verb = f"impersonate:{self.mode}" if self.mode else "impersonate"
        return RequestInfo("", verb, True, group, "v1", "", resource, subresource, name)


async def impersonate(request: Request, user: UserInfo, authorizer: Authorizer, info: RequestInfo) -> UserInfo:
    """The identity that the Impersonate headers ask for. Raises 403 where ``user`` may not take a part of it, and 500,
    as upstream, where they ask for a part of nobody. The first refusal counts, also as upstream."""
    if _asks_for_nobody(request):
        return user
    wanted, refusal = _wanted(request), None
    for mode, requester in [*_modes(user, wanted), ("", user)]:
        try:
            return await _Mode(authorizer, requester, wanted, mode).user(info)
        except ApiError as error:
            if error.code != 403:
                raise
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _modes(user: UserInfo, wanted: UserInfo) -> list[tuple[str, UserInfo]]:
    """The constrained modes that are for the wanted user, and the requester as each shows him to the authorizer."""
    node, account = _node(wanted.name), _account(wanted.name)
    if not node and account is None:
        return [("user-info", user)]
    if wanted.uid or wanted.groups or wanted.extra:
        return []
    if account is not None:
        return [("serviceaccount", user)]
    if _account(user.name) is not None and tuple(user.extra.get(_NODE_OF_TOKEN, ())) == (node,):
        shown = replace(user, extra={_NODE_KEYS: tuple(sorted(user.extra))})
        return [("associated-node", shown), ("arbitrary-node", user)]
    return [("arbitrary-node", user)]


def _asks_for_nobody(request: Request) -> bool:
    """An empty name and no other part of an identity is no wish at all, as upstream reads it."""
    asked = [name for name in request.headers if name in IMPERSONATION or name.startswith(_EXTRA)]
    return asked == [b"impersonate-user"] and not request.header(b"impersonate-user")


def _wanted(request: Request) -> UserInfo:
    name = request.header(b"impersonate-user")
    if not name:
        asked = " ".join(sorted(each.decode() for each in IMPERSONATION.intersection(request.headers)))
        raise internal(f"requested [{asked}] without impersonating a user")
    groups = [part.strip() for part in request.header(b"impersonate-group").split(",") if part.strip()]
    extra = {
        unquote(key.removeprefix(_EXTRA).decode("latin-1")): tuple(value.decode("latin-1").split(", "))
        for key, value in request.headers.items()
        if key.startswith(_EXTRA)
    }
    return UserInfo(name, request.header(b"impersonate-uid"), tuple(groups), extra)


def wrong_extra(extra: Mapping[str, Sequence[str]]) -> str:
    """Why constrained modes refuse these keys and values, empty where they do not."""
    for key, values in extra.items():
        if not key:
            return "impersonating the empty string key in extra is not allowed"
        if not _KEY.fullmatch(key.lower()):
            return f"impersonating an invalid key in extra is not allowed: {key}"
        if key != key.lower():
            return f'impersonating a non-lowercase key in extra is not allowed: "{key}"'
        if "" in values:
            return "impersonating the empty string value in extra is not allowed"
    return ""


def _account(name: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user, None for others."""
    if not name.startswith(_ACCOUNT) or name.count(":") != 3:
        return None
    _, _, namespace, account = name.split(":")
    return (namespace, account) if namespace and account else None


def _node(name: str) -> str:
    """The node whose user this is, empty for others."""
    node = name.removeprefix(_NODE) if name.startswith(_NODE) else ""
    return node if len(node) <= 253 and _NODE_NAME.fullmatch(node) else ""


def _with_standard(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The groups that everyone of that kind is in, as upstream adds them."""
    if name == ANONYMOUS:
        return groups if UNAUTHENTICATED_GROUP in groups else (*groups, UNAUTHENTICATED_GROUP)
    known = UNAUTHENTICATED_GROUP in groups or AUTHENTICATED_GROUP in groups
    return groups if known else (*groups, AUTHENTICATED_GROUP)
