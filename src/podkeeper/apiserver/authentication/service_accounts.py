"""Service-account tokens: JSON Web Tokens signed by the cluster, minted and verified.

Claims as upstream's: ``sub`` is ``system:serviceaccount:NAMESPACE:NAME``, the private claim ``kubernetes.io`` names
the account and, if the token is bound, its pod, secret or node by name and UID.
Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.user import AUTHENTICATED_GROUP, UserInfo
from podkeeper.foundation.signing_keys import PublicKey, SigningKey, key_id

#: The issuer of tokens in Secrets, which never end by themselves.
LEGACY_ISSUER = "kubernetes/serviceaccount"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


#: When tokens end that do not, in seconds since the epoch.
LASTING = 1 << 40


class InvalidToken(Exception):
    """A token that is none of ours, has ended, is for another audience, or whose bound object is gone."""


class BoundObject(Struct, frozen=True):
    """An object that a token is tied to: ``kind`` is pod, secret or node. A Secret without UID must hold the token."""

    kind: str
    name: str
    uid: str


class Claims(Struct, frozen=True):
    """What a verified token says. Times are seconds since the epoch."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]
    expires: int
    token_id: str = ""
    bound: tuple[BoundObject, ...] = ()

    def user(self) -> UserInfo:
        """The identity that the token stands for."""
        extra: dict[str, tuple[str, ...]] = {CREDENTIAL_ID: (f"JTI={self.token_id}",)} if self.token_id else {}
        for each in self.bound:
            if each.kind in ("pod", "node"):
                extra[f"authentication.kubernetes.io/{each.kind}-name"] = (each.name,)
                extra[f"authentication.kubernetes.io/{each.kind}-uid"] = (each.uid,)
        return account_user(self.namespace, self.name, self.uid, extra)


def account_user(namespace: str, name: str, uid: str = "", extra: dict[str, tuple[str, ...]] | None = None) -> UserInfo:
    """The identity of a service account."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED_GROUP)
    return UserInfo(f"system:serviceaccount:{namespace}:{name}", uid, groups, extra or {})


class TokenIssuer:
    """Mints tokens. ``longest`` bounds what is asked for, in seconds; 0 is no limit."""

    def __init__(self, issuer: str, key: SigningKey, longest: int = 0) -> None:
        self.issuer, self.key, self.longest = issuer, key, longest

    def mint(
        self,
        account: tuple[str, str, str],
        audiences: Sequence[str],
        now: int,
        seconds: int,
        *,
        bound: Sequence[BoundObject] = (),
        warn_after: int | None = None,
        identity: str = "",
    ) -> str:
        """A token for ``account`` (namespace, name, UID) that ends ``seconds`` after ``now``. ``identity`` tells it
        from all others; without one it gets a new one."""
        namespace, name, uid = account
        private: dict[str, Any] = {"namespace": namespace}
        private |= {each.kind: {"name": each.name, "uid": each.uid} for each in bound}
        private["serviceaccount"] = {"name": name, "uid": uid}
        if warn_after is not None:
            private["warnafter"] = warn_after
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": identity or str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return self.key.sign(claims)


class TokenReader:
    """Checks signature, issuer and times; whether the objects still exist is another's question. Any of ``keys`` may
    have signed a token of any of ``issuers``."""

    def __init__(self, issuers: Sequence[str], keys: Sequence[PublicKey]) -> None:
        self._issuers = (*issuers, LEGACY_ISSUER)
        self._keys = {key_id(key): key for key in keys}

    def is_ours(self, token: str) -> bool:
        """It claims to come from this cluster's issuer: nobody else needs to be asked."""
        from podkeeper.apiserver.authentication import signatures

        return signatures.issuer(token) in self._issuers

    def read(self, token: str, audiences: Sequence[str], now: float) -> Claims:
        """The claims of a token that is for one of ``audiences``. Raises InvalidToken."""
        from podkeeper.apiserver.authentication import signatures

        try:
            claims = signatures.verified(token, self._keys, self._issuers)
        except ValueError as error:
            raise InvalidToken(str(error)) from error
        if claims["iss"] == LEGACY_ISSUER:
            return _legacy_claims(claims, tuple(audiences))
        if now >= _number(claims, "exp") or now + 1 < _number(claims, "nbf"):
            raise InvalidToken("the token has expired or is not valid yet")
        stated = claims.get("aud") or []
        stated = [stated] if isinstance(stated, str) else stated
        common = tuple(audience for audience in stated if audience in audiences)
        if not common:
            raise InvalidToken("the token is for another audience")
        return _claims(claims, common)


def _legacy_claims(claims: dict[str, Any], audiences: tuple[str, ...]) -> Claims:
    """A token that a Secret holds is for every audience, and good for as long as the Secret holds it."""
    prefix = f"{LEGACY_ISSUER}/"
    try:
        namespace = claims[f"{prefix}namespace"]
        name, uid = claims[f"{prefix}service-account.name"], claims[f"{prefix}service-account.uid"]
        secret = BoundObject("secret", claims[f"{prefix}secret.name"], "")
    except KeyError as error:
        raise InvalidToken("the claims are incomplete") from error
    return Claims(namespace, name, uid, audiences, LASTING, bound=(secret,))


def _number(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float):
        raise InvalidToken(f"the claim {name} is missing")
    return value


def _claims(claims: dict[str, Any], audiences: tuple[str, ...]) -> Claims:
    private = claims.get("kubernetes.io")
    try:
        account = private["serviceaccount"]  # type: ignore[index]
        bound = tuple(
            BoundObject(kind, private[kind]["name"], private[kind]["uid"])  # type: ignore[index]
            for kind in ("pod", "secret", "node")
            if kind in private  # type: ignore[operator]
        )
        return Claims(
            namespace=private["namespace"],  # type: ignore[index]
            name=account["name"],
            uid=account["uid"],
            audiences=audiences,
            expires=int(claims["exp"]),
            token_id=str(claims.get("jti", "")),
            bound=bound,
        )
    except (KeyError, TypeError) as error:
        raise InvalidToken("the private claims are incomplete") from error
