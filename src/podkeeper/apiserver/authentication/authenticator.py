"""The order in which credentials count: a proxy's headers, client certificate, bearer token, anonymous. Wrong ones are
401, none are anonymous."""

from __future__ import annotations

import base64
import binascii
import datetime
import hmac
import logging
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.errors import unauthorized
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication import certificates
from podkeeper.apiserver.authentication.admin_token import AdminToken
from podkeeper.apiserver.authentication.anonymous import EVERYWHERE, NOBODY, Anonymity
from podkeeper.apiserver.authentication.request_header import FrontProxies
from podkeeper.apiserver.authentication.service_accounts import Claims, InvalidToken, TokenReader
from podkeeper.apiserver.authentication.token_sources import Holder, TokenSource
from podkeeper.apiserver.live import LiveObjects, Lookup
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family, Histogram
from podkeeper.foundation.http import Request
from podkeeper.registry.verbs import WatchEvent

log = logging.getLogger(__name__)

#: The label of Secrets whose token nobody has used for long.
LEGACY_INVALID = "kubernetes.io/legacy-token-invalid-since"
#: Seconds for which a verified token is believed. Deletion of what it is bound to ends that at once.
BELIEVED = 60.0
#: A bound object that is being deleted keeps its tokens for this many seconds (upstream's leeway).
DELETION_LEEWAY = 60.0
_CAPACITY = 16384
#: Upstream's buckets of what is left of clients' certificates: half an hour to a year, in seconds.
_HOUR, _DAY = 3600.0, 86400.0
_LIFETIMES = (
    0.0,
    1800.0,
    _HOUR,
    2 * _HOUR,
    6 * _HOUR,
    12 * _HOUR,
    *(days * _DAY for days in (1, 2, 4, 7, 30, 90, 180, 365)),
)
_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."  # noqa: S105 - the name of a subprotocol


class Methods(Struct, frozen=True):
    """What counts beside certificates of the clients' authority and tokens of the cluster's own. ``sources`` are asked
    in their order."""

    admin: AdminToken | None = None
    sources: tuple[TokenSource, ...] = ()
    proxies: FrontProxies | None = None
    anonymity: Anonymity = EVERYWHERE


class Authenticator:
    """Tells who makes a request."""

    def __init__(
        self,
        reader: TokenReader,
        audiences: Sequence[str],
        lookup: Lookup,
        clock: Clock,
        methods: Methods | None = None,
    ) -> None:
        self._methods = methods or Methods()
        self._admin, self._reader, self.audiences = self._methods.admin, reader, tuple(audiences)
        self._lookup, self._clock = lookup, clock
        self._believed: dict[bytes, tuple[UserInfo, float]] = {}
        self._bound: dict[str, set[bytes]] = {}
        self._lifetimes = Histogram(_LIFETIMES)

    def families(self) -> Sequence[Family]:
        """What /metrics tells of credentials."""
        name, text = "apiserver_client_certificate_expiration_seconds", "Seconds that certificates in use have left."
        return (Family(name, "histogram", text, lambda: [({}, self._lifetimes)]),)

    async def follow(self, live: LiveObjects) -> None:
        """From now on a deleted account, pod, secret or node ends its tokens at once."""
        for resource in ("serviceaccounts", "pods", "secrets", "nodes"):
            await live.follow("", resource, self._forget_deleted)

    async def authenticate(self, request: Request) -> UserInfo:
        """The user. Raises 401 for credentials that are wrong, and for none where nobody may come."""
        certificate, proxies = request.peer.certificate, self._methods.proxies
        if certificate is not None and proxies is not None:
            vouched = proxies.user(request)
            if vouched is not None:
                return vouched
            if not proxies.is_client(certificate):
                certificate = None
        if certificate is not None:
            user = self._certified(request, certificate)
            if user is not None:
                return user
        header = request.headers.get(b"authorization")
        if header is None:
            header = _websocket_header(request)
            if header is None:
                return self._nobody(request)
        believed = self._believed.get(header)
        if believed is not None and self._clock.time() < believed[1]:
            return believed[0]
        return await self._bearer(header, request)

    def use(self, methods: Methods) -> None:
        """Other methods count from now on; who was let in by those before comes in by these or not."""
        self._methods = methods
        self._believed.clear()
        self._bound.clear()

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo, Sequence[str]]:
        """Who holds ``token`` and for which of ``audiences`` it is. Raises InvalidToken."""
        if self._admin is not None:
            user = self._admin.verify(token)
            if user is not None:
                common = [audience for audience in audiences if audience in self.audiences]
                if not common:
                    raise InvalidToken("the token is for another audience")
                return user, common
        if self._reader.is_ours(token):
            claims = self._reader.read(token, audiences, self._clock.time())
            await self._check_objects(claims, token)
            return claims.user(), claims.audiences
        holder = await self._holder(token, audiences)
        return holder.user, holder.audiences

    async def _holder(self, token: str, audiences: Sequence[str]) -> Holder:
        """Who holds a token that is not the cluster's own. Raises InvalidToken where no source knows it."""
        failures: list[InvalidToken] = []
        for source in self._methods.sources:
            try:
                found = await source.holder(token, audiences)
            except InvalidToken as error:
                failures.append(error)
                continue
            if found is not None:
                return found
        raise InvalidToken(", ".join(map(str, failures)) or "nobody knows the token")

    def _nobody(self, request: Request) -> UserInfo:
        if request.peer.distrusted or not self._methods.anonymity.allows(request.target):
            raise unauthorized()
        return NOBODY

    def _certified(self, request: Request, certificate: Any) -> UserInfo | None:
        memo = request.peer.memo
        if memo is None:
            memo = request.peer.memo = (certificates.user_of(certificate), certificates.expiry_of(certificate))
        user, expires = memo
        left = expires - self._clock.time()
        if left < 0:
            raise unauthorized()
        self._lifetimes.observe(left)
        return user  # type: ignore[no-any-return]

    async def _bearer(self, header: bytes, request: Request) -> UserInfo:
        scheme, _, token = header.decode("latin-1").strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return self._nobody(request)
        if self._admin is not None:
            user = self._admin.verify(token)
            if user is not None:
                self._believe(header, user, self._clock.time() + BELIEVED, ())
                return user
        now = self._clock.time()
        try:
            if not self._reader.is_ours(token):
                holder = await self._holder(token, self.audiences)
                self._believe(header, holder.user, min(now + BELIEVED, holder.until), ())
                return holder.user
            claims = self._reader.read(token, self.audiences, now)
            ends = await self._check_objects(claims, token)
        except InvalidToken as error:
            log.info("unable to authenticate the request: %s", error)
            raise unauthorized() from None
        user = claims.user()
        uids = (claims.uid, *(each.uid for each in claims.bound))
        self._believe(header, user, min(now + BELIEVED, claims.expires, ends), uids)
        return user

    def _believe(self, header: bytes, user: UserInfo, until: float, uids: Sequence[str]) -> None:
        if len(self._believed) >= _CAPACITY:
            self._believed.clear()
            self._bound.clear()
        self._believed[header] = (user, until)
        for uid in uids:
            self._bound.setdefault(uid, set()).add(header)

    def _forget_deleted(self, events: Sequence[WatchEvent]) -> None:
        if not self._bound:
            return
        for event in events:
            if event.type == "DELETED" and event.item is not None:
                uid = event.item.tree()["metadata"].get("uid", "")
                for header in self._bound.pop(uid, ()):
                    self._believed.pop(header, None)

    async def _check_objects(self, claims: Claims, token: str) -> float:
        """The account and what the token is bound to exist; returns when a deletion under way ends that. Raises
        InvalidToken."""
        ends = await self._check_object("serviceaccounts", claims.namespace, claims.name, claims.uid)
        for each in claims.bound:
            if each.kind == "node" and any(other.kind == "pod" for other in claims.bound):
                continue  # named for information: the pod decides
            if each.kind == "secret" and not each.uid:
                await self._check_holding(claims, each.name, token)
                ends = 0.0  # looked up with each request
                continue
            namespace = "" if each.kind == "node" else claims.namespace
            ends = min(ends, await self._check_object(f"{each.kind}s", namespace, each.name, each.uid))
        return ends

    async def _check_holding(self, claims: Claims, name: str, token: str) -> None:
        """The Secret still holds the token, and nobody has said that it is no longer good."""
        tree = await self._lookup.get("", "secrets", claims.namespace, name)
        if tree is None or tree["metadata"].get("deletionTimestamp"):
            raise InvalidToken(f"secrets {name} is gone")
        held = (tree.get("data") or {}).get("token", "")
        if not hmac.compare_digest(held.encode(), base64.b64encode(token.encode())):
            raise InvalidToken("the token does not match the server's copy")
        if LEGACY_INVALID in (tree["metadata"].get("labels") or {}):
            raise InvalidToken("the token has been marked invalid")

    async def _check_object(self, resource: str, namespace: str, name: str, uid: str) -> float:
        tree = await self._lookup.get("", resource, namespace, name)
        if tree is None or tree["metadata"].get("uid") != uid:
            raise InvalidToken(f"{resource} {name} is gone")
        deleted = tree["metadata"].get("deletionTimestamp")
        if not deleted:
            return float("inf")
        ends = datetime.datetime.fromisoformat(deleted).timestamp() + DELETION_LEEWAY
        if self._clock.time() >= ends:
            raise InvalidToken(f"{resource} {name} is being deleted")
        return ends


def _websocket_header(request: Request) -> bytes | None:
    """A browser cannot set Authorization on a WebSocket: the token comes as a subprotocol there, which is taken off."""
    offered = request.headers.get(b"sec-websocket-protocol")
    if offered is None or not request.upgrade:
        return None
    protocols = [part.strip() for part in offered.decode("latin-1").split(",")]
    tokens = [part.removeprefix(_WEBSOCKET_TOKEN) for part in protocols if part.startswith(_WEBSOCKET_TOKEN)]
    if len(tokens) != 1:
        return None
    try:
        token = base64.urlsafe_b64decode(tokens[0] + "=" * (-len(tokens[0]) % 4))
    except (binascii.Error, ValueError):
        raise unauthorized() from None
    rest = [part for part in protocols if not part.startswith(_WEBSOCKET_TOKEN)]
    request.headers[b"sec-websocket-protocol"] = ", ".join(rest).encode("latin-1")
    return b"Bearer " + token
