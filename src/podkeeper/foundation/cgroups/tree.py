"""The Protocol of control groups and the values that go in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field


class CgroupError(Exception):
    """An operation on a control group failed; the text names the group, the cause and what to do."""


class Limits(Struct, frozen=True):
    """Settings of a group; None leaves what is there.

    ``cpu_shares`` is version 1's scale (2 to 262144, 1024 for one core); ``cpu_quota`` and ``cpu_period`` are
    microseconds, ``memory`` and ``memory_swap`` (both together) bytes; -1 lifts a quota or limit. ``unified`` are raw
    version 2 files.
    """

    cpu_shares: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    memory: int | None = None
    memory_swap: int | None = None
    pids: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    unified: Mapping[str, str] = field(default_factory=dict)


NO_LIMITS = Limits()


class CgroupUsage(Struct, frozen=True):
    """What a group and those below it use: CPU nanoseconds since they began, memory in bytes."""

    cpu_ns: int = 0
    memory_usage: int = 0
    memory_working_set: int = 0
    memory_rss: int = 0
    pids: int = 0


class Cgroups(Protocol):
    """All groups of a machine. Paths start at the hierarchies' roots. CgroupError tells what the kernel refused."""

    def exists(self, path: str) -> bool:
        """Whether the group is there, in any hierarchy."""
        ...

    def create(self, path: str, limits: Limits = NO_LIMITS) -> None:
        """Makes the group with its parents, unless they are there, and applies ``limits`` to the last one."""
        ...

    def apply(self, path: str, limits: Limits) -> None:
        """Changes an existing group's settings. A setting whose controller the machine lacks is left out."""
        ...

    def usage(self, path: str) -> CgroupUsage:
        """Present use. A group that is gone uses nothing."""
        ...

    def children(self, path: str) -> Sequence[str]:
        """Names of the groups right below ``path``."""
        ...

    def processes(self, path: str) -> Sequence[int]:
        """Process ids in the group and all groups below it."""
        ...

    def attach(self, path: str, pid: int) -> None:
        """Moves a process into the group. Silent when the process is gone."""
        ...

    def memory_events(self, path: str) -> int:
        """How many processes of the group the kernel's OOM killer has killed."""
        ...

    def signal(self, path: str, number: int) -> None:
        """Sends a signal to every process in the group and below it, none slipping through by forking."""
        ...

    async def kill(self, path: str) -> None:
        """SIGKILLs every process in the group and below it; returns when they are gone."""
        ...

    async def remove(self, path: str) -> None:
        """Kills what runs and removes the group with all below it, in every hierarchy. Silent when it is not there."""
        ...
