"""Limits as values for the kernel's files: pure, one list per version, in the order in which they must be written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from msgspec import Struct

from podkeeper.foundation.cgroups.tree import Limits

DEFAULT_PERIOD = 100_000


class Setting(Struct, frozen=True):
    """One value for one file; ``controller`` says which hierarchy of version 1 has it."""

    controller: str
    file: str
    value: str


def weight(shares: int) -> int:
    """cpu.weight for version 1's shares, by the mapping of today's OCI runtimes (crun 1.23, runc 1.3.2).

    It is quadratic in the logarithms and meets three points: least (2 -> 1), default (1024 -> 100), most
    (262144 -> 10000). https://kubernetes.io/blog/2026/01/30/new-cgroup-v1-to-v2-cpu-conversion-formula/
    """
    magnitude = math.log2(min(max(shares, 2), 262144))
    return math.ceil(round(10 ** ((magnitude * magnitude + 125 * magnitude) / 612 - 7 / 34), 6))


def version_1(limits: Limits) -> Iterator[Setting]:
    """What to write on version 1."""
    if limits.cpu_shares is not None:
        yield Setting("cpu", "cpu.shares", str(limits.cpu_shares))
    if limits.cpu_period is not None:
        yield Setting("cpu", "cpu.cfs_period_us", str(limits.cpu_period))
    if limits.cpu_quota is not None:
        yield Setting("cpu", "cpu.cfs_quota_us", str(limits.cpu_quota if limits.cpu_quota > 0 else -1))
    if limits.memory is not None:
        yield Setting("memory", "memory.limit_in_bytes", str(limits.memory))
    if limits.memory_swap is not None:
        yield Setting("memory", "memory.memsw.limit_in_bytes", str(limits.memory_swap))
    if limits.pids is not None:
        yield Setting("pids", "pids.max", _or_max(limits.pids))
    yield from _cpuset(limits)


def version_2(limits: Limits) -> Iterator[Setting]:
    """What to write on version 2. memory.swap.max is swap alone, where version 1 counts both."""
    if limits.cpu_shares is not None:
        yield Setting("cpu", "cpu.weight", str(weight(limits.cpu_shares)))
    if limits.cpu_quota is not None or limits.cpu_period is not None:
        quota = limits.cpu_quota if limits.cpu_quota is not None else -1
        yield Setting("cpu", "cpu.max", f"{_or_max(quota)} {limits.cpu_period or DEFAULT_PERIOD}")
    if limits.memory is not None:
        yield Setting("memory", "memory.max", _or_max(limits.memory))
    if limits.memory_swap is not None:
        both = limits.memory_swap
        swap = -1 if both < 0 or limits.memory is None else max(both - limits.memory, 0)
        yield Setting("memory", "memory.swap.max", str(swap) if swap >= 0 else "max")
    if limits.pids is not None:
        yield Setting("pids", "pids.max", _or_max(limits.pids))
    yield from _cpuset(limits)
    for file, value in limits.unified.items():
        yield Setting(file.split(".")[0], file, value)


def _cpuset(limits: Limits) -> Iterator[Setting]:
    files: Mapping[str, str] = {"cpuset.cpus": limits.cpuset_cpus, "cpuset.mems": limits.cpuset_mems}
    for file, value in files.items():
        if value:
            yield Setting("cpuset", file, value)


def _or_max(value: int) -> str:
    return str(value) if value > 0 else "max"
