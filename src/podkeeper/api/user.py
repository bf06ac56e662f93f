"""Who makes a request: the identity that authentication yields and authorization judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

ANONYMOUS = "system:anonymous"
AUTHENTICATED_GROUP = "system:authenticated"
UNAUTHENTICATED_GROUP = "system:unauthenticated"
MASTERS_GROUP = "system:masters"


class UserInfo(Struct, frozen=True):
    """One authenticated (or anonymous) identity, as in TokenReview's status.user."""

    name: str
    uid: str = ""
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)
