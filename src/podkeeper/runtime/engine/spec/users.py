"""Who a container's process is: ids from the CRI, names looked up in the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.runtime.cri import ContainerSecurityContext
from podkeeper.runtime.engine.spec.rootfs_files import read_text
from podkeeper.runtime.failures import RuntimeFailure


class User(Struct, frozen=True):
    """Numeric ids, and the home directory that the image says (``/`` when it does not know the user)."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"

    def section(self) -> dict[str, Any]:
        """``process.user``."""
        return {"uid": self.uid, "gid": self.gid, "additionalGids": list(self.groups)}


class _Account(Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


def resolve(root: Path, security: ContainerSecurityContext, image_user: str) -> User:
    """The user that the security context, or else the image (``user[:group]``), asks for.

    The groups are those asked for and, unless the context is strict about them, those that the image's /etc/group lists
    the user in. Raises RuntimeFailure for a name that the image does not know.
    """
    wanted, _, group = image_user.partition(":")
    if security.run_as_user is not None:
        wanted, group = str(security.run_as_user), ""
    elif security.run_as_username:
        wanted, group = security.run_as_username, ""
    account = _account(root, wanted or "0")
    gid = account.gid
    if security.run_as_group is not None:
        gid = security.run_as_group
    elif group:
        gid = _group_id(root, group)
    groups = set(security.supplemental_groups)
    if account.name and not security.strict_groups:
        groups |= set(_memberships(root, account.name))
    return User(account.uid, gid, tuple(sorted(groups)), account.home or "/")


def _account(root: Path, wanted: str) -> _Account:
    matches: Callable[[_Account], bool]
    if wanted.isdigit():
        uid = int(wanted)
        matches = lambda account: account.uid == uid  # noqa: E731
    else:
        matches = lambda account: account.name == wanted  # noqa: E731
    for account in _accounts(root):
        if matches(account):
            return account
    if not wanted.isdigit():
        raise RuntimeFailure(f"no user named {wanted!r} in the image's /etc/passwd")
    return _Account("", int(wanted), 0, "/")


def _accounts(root: Path) -> Iterator[_Account]:
    for line in read_text(root, "etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2].isdigit() and fields[3].isdigit():
            yield _Account(fields[0], int(fields[2]), int(fields[3]), fields[5])


def _groups(root: Path) -> Iterator[tuple[str, int, list[str]]]:
    for line in read_text(root, "etc/group").splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdigit():
            yield fields[0], int(fields[2]), fields[3].split(",")


def _group_id(root: Path, wanted: str) -> int:
    if wanted.isdigit():
        return int(wanted)
    for name, gid, _ in _groups(root):
        if name == wanted:
            return gid
    raise RuntimeFailure(f"no group named {wanted!r} in the image's /etc/group")


def _memberships(root: Path, name: str) -> Iterator[int]:
    return (gid for _, gid, members in _groups(root) if name in members)
