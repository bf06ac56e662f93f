"""What stands in signed tokens (RFC 7519), and whether they are signed well. Loaded with the first token that comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from podkeeper.foundation.signing_keys import PublicKey, algorithm

#: Times and audiences are judged by whoever asks.
_OPTIONS: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}


def issuer(token: str) -> Any:
    """Whom the token says to come from, whoever signed it; None for what is no token."""
    try:
        return jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.InvalidTokenError:
        return None


def verified(token: str, keys: Mapping[str, PublicKey], issuers: Sequence[str]) -> dict[str, Any]:
    """The claims of a token of one of ``issuers``, signed with one of ``keys`` (by key id). Raises ValueError."""
    try:
        named = jwt.get_unverified_header(token).get("kid")
    except jwt.InvalidTokenError as error:
        raise ValueError(str(error)) from error
    failure: jwt.InvalidTokenError = jwt.InvalidSignatureError("no key")
    known = keys.get(named or "")
    for key in keys.values() if known is None else [known]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm(key)], issuer=list(issuers), options=_OPTIONS
            )
        except jwt.InvalidTokenError as error:
            failure = error
        else:
            return claims
    raise ValueError(str(failure)) from failure
