"""Who may be nobody: everyone, only at some paths, or no one."""

from __future__ import annotations

from msgspec import Struct

from podkeeper.api.user import ANONYMOUS, UNAUTHENTICATED_GROUP, UserInfo

NOBODY = UserInfo(ANONYMOUS, groups=(UNAUTHENTICATED_GROUP,))


class Anonymity(Struct, frozen=True):
    """``paths`` are the paths at which it counts; empty: everywhere."""

    enabled: bool = True
    paths: tuple[str, ...] = ()

    def allows(self, target: bytes) -> bool:
        """Whether a request without credentials may go on as nobody."""
        if not self.enabled or not self.paths:
            return self.enabled
        return target.partition(b"?")[0].decode("latin-1") in self.paths


EVERYWHERE = Anonymity()
