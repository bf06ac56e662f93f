"""Impersonation: who may ``impersonate`` acts as another (``kubectl --as``). Each part of the identity is authorized
by itself."""

from __future__ import annotations

from urllib.parse import unquote

from podkeeper.api.errors import internal
from podkeeper.api.user import ANONYMOUS, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, UserInfo
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Request

#: Headers that ask for another identity, or for a part of one.
IMPERSONATION = frozenset({b"impersonate-user", b"impersonate-group", b"impersonate-uid"})
_EXTRA = b"impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"


async def impersonate(request: Request, user: UserInfo, authorizer: Authorizer) -> UserInfo:
    """The identity that the Impersonate headers ask for. Raises 403 where ``user`` may not take a part of it, and 500,
    as upstream, where they ask for a part of nobody."""
    name = request.header(b"impersonate-user")
    if not name:
        asked = " ".join(sorted(each.decode() for each in IMPERSONATION.intersection(request.headers)))
        raise internal(f"requested [{asked}] without impersonating a user")
    groups = [part.strip() for part in request.header(b"impersonate-group").split(",") if part.strip()]
    uid = request.header(b"impersonate-uid")
    extra = {
        unquote(key.removeprefix(_EXTRA).decode("latin-1")): tuple(value.decode("latin-1").split(", "))
        for key, value in request.headers.items()
        if key.startswith(_EXTRA)
    }
    await authorizer.require(user, _name_check(name))
    for group in groups:
        await authorizer.require(user, _check("", "groups", group))
    if uid:
        await authorizer.require(user, _check("authentication.k8s.io", "uids", uid))
    for key, values in extra.items():
        for value in values:
            await authorizer.require(user, _check("authentication.k8s.io", "userextras", value, key))
    return UserInfo(name, uid, _with_standard(name, groups), extra)


def _check(group: str, resource: str, name: str, subresource: str = "", namespace: str = "") -> RequestInfo:
    return RequestInfo(
        path="",
        verb="impersonate",
        is_resource=True,
        group=group,
        resource=resource,
        subresource=subresource,
        name=name,
        namespace=namespace,
    )


def _name_check(name: str) -> RequestInfo:
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        _, _, namespace, account = name.split(":")
        return _check("", "serviceaccounts", account, namespace=namespace)
    return _check("", "users", name)


def _with_standard(name: str, groups: list[str]) -> tuple[str, ...]:
    """The groups that everyone of that kind is in, as upstream adds them."""
    if name.startswith(_ACCOUNT) and name.count(":") == 3 and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
    standard = UNAUTHENTICATED_GROUP if name == ANONYMOUS else AUTHENTICATED_GROUP
    return (*groups, *(() if standard in groups else (standard,)))
