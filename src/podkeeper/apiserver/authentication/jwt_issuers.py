"""Tokens of other issuers (OpenID Connect): keys are discovered over HTTPS and fetched again when a token
is signed with none of those known.

    token --iss--> issuer --keys, algorithm--> claims --audience, times--> ClaimReader --> user
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import jwt

from podkeeper.apiserver.authentication.jwt_claims import ClaimReader
from podkeeper.apiserver.authentication.jwt_configuration import Issuer
from podkeeper.apiserver.authentication.service_accounts import InvalidToken
from podkeeper.apiserver.authentication.token_sources import Holder, authenticated
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.config import ClientConfig
from podkeeper.client.transport import Transport
from podkeeper.foundation.clock import Clock

log = logging.getLogger(__name__)

PATIENCE = 30.0
#: Seconds between two fetches of keys that unknown tokens ask for, so that nobody makes us ask all the time.
REFETCH = 1.0
#: By how many seconds an issuer's clock may be ahead (``nbf``); expiry has no leeway. Upstream's figures.
SKEW = 300.0
BELIEVED = 10.0
_OPTIONS = dict.fromkeys([f"verify_{each}" for each in ("aud", "exp", "nbf", "iat", "sub", "jti")], False)


class JwtIssuers:
    """Every configured issuer; implements TokenSource."""

    def __init__(self, issuers: Sequence[Issuer], api_audiences: Sequence[str], clock: Clock) -> None:
        """Raises ConfigurationError."""
        self._by_url = {each.url: _Verifier(each, clock) for each in issuers}
        self._api_audiences = tuple(api_audiences)

    async def holder(self, token: str, audiences: Sequence[str]) -> Holder | None:
        """See TokenSource. Who passes the issuer's audiences has those of the API server."""
        verifier = self._by_url.get(_issuer_of(token))
        if verifier is None:
            return None
        common = tuple(each for each in audiences if each in (*self._api_audiences, *verifier.issuer.audiences))
        if not common:
            raise InvalidToken("oidc: the token is for another audience")
        holder = await verifier.holder(token)
        return Holder(holder.user, holder.until, common)


class _Verifier:
    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self.issuer, self._clock = issuer, clock
        self._reader = ClaimReader(issuer)
        self._keys: list[jwt.PyJWK] = []
        self._fetched = float("-inf")
        self._fetching = asyncio.Lock()

    async def holder(self, token: str) -> Holder:
        claims = await self._verified(token)
        now = self._clock.time()
        expires = _number(claims, "exp")
        if expires is None or now >= expires:
            raise InvalidToken("oidc: verify token: oidc: token is expired")
        begins = _number(claims, "nbf")
        if begins is not None and now + SKEW < begins:
            raise InvalidToken("oidc: verify token: oidc: current time before the nbf (not before) time")
        stated = claims.get("aud") or ()
        stated = (stated,) if isinstance(stated, str) else stated
        if not any(each in self.issuer.audiences for each in stated):
            raise InvalidToken(f"oidc: verify token: oidc: expected audience in {list(self.issuer.audiences)}")
        user = authenticated(self._reader.user(await self._complete(claims)))
        return Holder(user, min(expires, now + BELIEVED))

    async def _complete(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        if "_claim_names" in claims:
            # The groups of very large directories are elsewhere; whoever needs them would be let in without.
            raise InvalidToken("oidc: distributed claims are not supported")
        return claims

    async def _verified(self, token: str) -> dict[str, Any]:
        claims = self._try(token)
        if claims is None:
            await self._fetch()
            claims = self._try(token)
        if claims is None:
            raise InvalidToken("oidc: verify token: failed to verify signature: failed to verify id token signature")
        return claims

    def _try(self, token: str) -> dict[str, Any] | None:
        try:
            head = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"oidc: malformed jwt: {error}") from None
        algorithm, named = head.get("alg"), head.get("kid")
        if algorithm not in self.issuer.algorithms:
            raise InvalidToken(f"oidc: verify token: oidc: id token signed with unsupported algorithm {algorithm!r}")
        for key in self._keys:
            if named and key.key_id and key.key_id != named:
                continue
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key.key,
                    algorithms=[algorithm],
                    issuer=self.issuer.url,
                    options=_OPTIONS,  # type: ignore[arg-type]
                )
            except (jwt.InvalidTokenError, TypeError, ValueError):
                continue  # a key of another kind, or not the one
            return claims
        return None

    async def _fetch(self) -> None:
        """Fetches the keys unless that has just been done; failures leave the keys as they were."""
        async with self._fetching:
            now = self._clock.monotonic()
            if now - self._fetched < REFETCH:
                return
            self._fetched = now
            try:
                self._keys = await self._discover()
            except (ConnectionFailed, ValueError, KeyError, TypeError) as error:
                log.warning("no keys of %s: %s", self.issuer.url, error)

    async def _discover(self) -> list[jwt.PyJWK]:
        url = self.issuer.discovery_url or self.issuer.url.rstrip("/") + "/.well-known/openid-configuration"
        document = await self._get(url)
        if document["issuer"] != self.issuer.url:
            raise ValueError(f"its discovery document is of {document['issuer']!r}")
        keys = (await self._get(document["jwks_uri"]))["keys"]
        return [made for each in keys if each.get("use", "sig") == "sig" and (made := _key(each)) is not None]

    async def _get(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme != "https":
            raise ValueError(f"{url} is not https")
        config = ClientConfig(f"https://{parts.netloc}", ca=self.issuer.authority.encode())
        transport = Transport(config, "podkeeper-apiserver", PATIENCE)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            code, _, body = await transport.request("GET", target, {"Accept": "application/json"}, None)
        finally:
            await transport.close()
        if code != 200:
            raise ValueError(f"{url} answers {code}")
        found = json.loads(body)
        if not isinstance(found, dict):
            raise ValueError(f"{url} holds no object")
        return found


def _key(tree: Mapping[str, Any]) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(dict(tree))
    except (jwt.PyJWTError, ValueError, KeyError):
        return None  # of a kind that signs nothing here


def _issuer_of(token: str) -> str:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return ""
    found = claims.get("iss")
    return found if isinstance(found, str) else ""


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
