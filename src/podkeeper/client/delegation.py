"""Lets the API server say who asks a component and whether they may: TokenReview and SubjectAccessReview.

certificate of the cluster's CA > bearer token (TokenReview) > nobody        user --SubjectAccessReview--> may, may not

What the API server has said is believed for ten seconds, as upstream's components do (--authentication-token-webhook-
cache-ttl and --authorization-webhook-cache-*-ttl).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.api.user import ANONYMOUS, AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, UserInfo
from podkeeper.client.api import Api, ConnectionFailed
from podkeeper.foundation.clock import Clock

BELIEVED = 10.0
_CAPACITY = 1024
NOBODY = UserInfo(ANONYMOUS, groups=(UNAUTHENTICATED_GROUP,))


#: What a method of HTTP is to whoever judges it.
VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Unauthenticated(Exception):
    """The credentials are none."""


class ReviewFailed(Exception):
    """The API server did not say."""


class Question(Struct, frozen=True):
    """What somebody wants: a verb on a path, or on a node's subresource."""

    verb: str
    path: str = ""
    node: str = ""
    subresource: str = ""

    def attributes(self) -> Mapping[str, Any]:
        """As in a SubjectAccessReviewSpec."""
        if not self.node:
            return {"nonResourceAttributes": {"verb": self.verb, "path": self.path}}
        names = {"version": "v1", "resource": "nodes", "subresource": self.subresource, "name": self.node}
        return {"resourceAttributes": {"verb": self.verb, **names}}


class DelegatedAccess:
    """Asks one API server, with the component's own credentials."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._users: dict[bytes, tuple[float, UserInfo | None]] = {}
        self._answers: dict[tuple[str, Question], tuple[float, bool]] = {}

    async def user(self, certificate: Mapping[str, Any] | None, authorization: str) -> UserInfo:
        """Who asks, by the certificate (as ``ssl.getpeercert`` gives it, verified) or the header. Raises
        Unauthenticated, ReviewFailed."""
        if (user := user_of(certificate)) is not None:
            return user
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return NOBODY
        return await self._holder(token.strip())

    async def allows(self, user: UserInfo, question: Question) -> bool:
        """Whether the user may. Raises ReviewFailed."""
        key, now = (f"{user.name}\0{user.uid}\0{user.groups}\0{user.extra}", question), self._clock.monotonic()
        known = self._answers.get(key)
        if known is not None and now < known[0]:
            return known[1]
        extra = {name: list(values) for name, values in user.extra.items()}
        spec = {"user": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
        status = await self._review("authorization.k8s.io", "SubjectAccessReview", {**spec, **question.attributes()})
        allowed = bool(status.get("allowed"))
        _keep(self._answers, key, (now + BELIEVED, allowed))
        return allowed

    async def _holder(self, token: str) -> UserInfo:
        key, now = hashlib.sha256(token.encode("utf-8", "replace")).digest(), self._clock.monotonic()
        known = self._users.get(key)
        if known is None or now >= known[0]:
            status = await self._review("authentication.k8s.io", "TokenReview", {"token": token})
            known = (now + BELIEVED, _user(status.get("user") or {}) if status.get("authenticated") else None)
            _keep(self._users, key, known)
        if known[1] is None:
            raise Unauthenticated
        return known[1]

    async def _review(self, group: str, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        review = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        path = f"/apis/{group}/v1/{kind.lower()}s"
        try:
            code, _, body = await self._api.request("POST", path, body=msgspec.json.encode(review))
            tree = msgspec.json.decode(body) if code == 201 else None
        except (ApiError, ConnectionFailed, msgspec.DecodeError) as error:
            raise ReviewFailed(f"{kind}: {error}") from error
        if not isinstance(tree, dict):
            raise ReviewFailed(f"{kind}: the API server answers {code}")
        status: Mapping[str, Any] = tree.get("status") or {}
        return status


def user_of(certificate: Mapping[str, Any] | None) -> UserInfo | None:
    """The user of a verified certificate: the common name, the organizations as groups."""
    fields = [pair for relative in (certificate or {}).get("subject", ()) for pair in relative]
    names = [value for key, value in fields if key == "commonName"]
    groups = tuple(value for key, value in fields if key == "organizationName")
    return UserInfo(names[0], groups=(*groups, AUTHENTICATED_GROUP)) if names else None


def _user(tree: Mapping[str, Any]) -> UserInfo:
    extra = {name: tuple(values or ()) for name, values in (tree.get("extra") or {}).items()}
    return UserInfo(tree.get("username") or "", tree.get("uid") or "", tuple(tree.get("groups") or ()), extra)


def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
    if len(known) >= _CAPACITY:
        known.clear()
    known[key] = value
