"""What recognizes bearer tokens beside the cluster's own: each source says whose token it is, or that it is none of its
own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from podkeeper.api.user import AUTHENTICATED_GROUP, UserInfo


class Holder(Struct, frozen=True):
    """Who holds a token. It may be believed without another look until ``until`` (seconds since the epoch)."""

    user: UserInfo
    until: float = 0.0
    audiences: tuple[str, ...] = ()


class TokenSource(Protocol):
    """One way to recognize tokens."""

    async def holder(self, token: str, audiences: Sequence[str]) -> Holder | None:
        """Who holds the token; None if it is none of this source's. Raises InvalidToken for one of its own that is
        wrong. Whoever checks no audiences returns those asked for."""
        ...


def authenticated(user: UserInfo) -> UserInfo:
    """The user, in the group that everybody is in who is somebody."""
    if AUTHENTICATED_GROUP in user.groups:
        return user
    return UserInfo(user.name, user.uid, (*user.groups, AUTHENTICATED_GROUP), user.extra)
