"""Bootstrap tokens, with which new nodes ask for their first certificate: Secrets in kube-system.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication.service_accounts import InvalidToken
from podkeeper.apiserver.authentication.token_sources import Holder, authenticated
from podkeeper.apiserver.live import Lookup
from podkeeper.foundation.clock import Clock

SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type's name
GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokens:
    """Looks the Secret up with each request: a token that is taken back is worth nothing at once."""

    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup, self._clock = lookup, clock

    async def holder(self, token: str, audiences: Sequence[str]) -> Holder | None:
        """See TokenSource."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        identity, secret = match.groups()
        tree = await self._lookup.get("", "secrets", "kube-system", f"bootstrap-token-{identity}")
        if tree is None or tree["metadata"].get("deletionTimestamp"):
            return None
        groups = granted_groups(tree, identity, secret, self._clock.time())
        user = UserInfo(f"system:bootstrap:{identity}", groups=groups)
        return Holder(authenticated(user), audiences=tuple(audiences))


def granted_groups(secret: Mapping[str, Any], identity: str, given: str, now: float) -> tuple[str, ...]:
    """The groups of who shows ``given`` for this Secret. Raises InvalidToken."""
    data = {key: _text(value) for key, value in (secret.get("data") or {}).items()}
    if secret.get("type") != SECRET_TYPE or data.get("token-id") != identity:
        raise InvalidToken("the secret is of another type or names another token")
    if not hmac.compare_digest(data.get("token-secret", "").encode(), given.encode()):
        raise InvalidToken("the token's second half is wrong")
    if is_expired(data.get("expiration", ""), now):
        raise InvalidToken("the token has expired")
    if data.get("usage-bootstrap-authentication") != "true":
        raise InvalidToken("the token is not for authentication")
    extra = [each.strip() for each in data.get("auth-extra-groups", "").split(",") if each.strip()]
    if not all(_GROUP.fullmatch(each) for each in extra):
        raise InvalidToken("the token's groups must be below system:bootstrappers:")
    return tuple(dict.fromkeys((GROUP, *sorted(extra))))


def is_expired(text: str, now: float) -> bool:
    """Whether an ``expiration`` has passed; one that is no time has, and none never does."""
    if not text:
        return False
    try:
        return timestamps.parse(text) <= now
    except ValueError:
        return True


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
