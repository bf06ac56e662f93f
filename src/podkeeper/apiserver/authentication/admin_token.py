"""The bootstrap admin token: 256 random bits in a file that only its owner reads.

Who holds it is ``kubernetes-admin`` in ``system:masters``, as who holds upstream's admin client certificate. It does
not expire; removing the file and restarting the server makes a new one and so revokes the old.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from podkeeper.api.user import AUTHENTICATED_GROUP, MASTERS_GROUP, UserInfo
from podkeeper.foundation.keyfiles import write_private

ADMIN = UserInfo("kubernetes-admin", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))


def ensure(path: Path) -> str:
    """The token in ``path``, made on first use."""
    if not path.exists():
        write_private(path, secrets.token_hex(32).encode() + b"\n")
    token = path.read_text("ascii").strip()
    if len(token) < 32:
        raise ValueError(f"{path}: the token is too short to be safe; remove the file to have a new one made")
    return token


class AdminToken:
    """Recognizes the one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def verify(self, token: str) -> UserInfo | None:
        """The admin, or None for any other token."""
        return ADMIN if hmac.compare_digest(self._token, token.encode("utf-8", "replace")) else None
