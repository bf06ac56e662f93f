"""Limits as values for the kernel's files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.foundation.cgroups import Limits
from podkeeper.foundation.cgroups.settings import version_1, version_2, weight


def values(settings: object) -> dict[str, str]:
    return {setting.file: setting.value for setting in settings}  # type: ignore[attr-defined]


FULL = Limits(
    cpu_shares=1024,
    cpu_quota=50_000,
    cpu_period=100_000,
    memory=1 << 20,
    memory_swap=3 << 20,
    pids=40,
    cpuset_cpus="0-1",
    cpuset_mems="0",
    unified={"memory.high": "9"},
)


def test_version_1_has_a_file_per_value() -> None:
    assert values(version_1(FULL)) == {
        "cpu.shares": "1024",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "50000",
        "memory.limit_in_bytes": "1048576",
        "memory.memsw.limit_in_bytes": "3145728",
        "pids.max": "40",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
    }


def test_version_2_counts_swap_alone_and_has_weights() -> None:
    assert values(version_2(FULL)) == {
        "cpu.weight": "100",
        "cpu.max": "50000 100000",
        "memory.max": "1048576",
        "memory.swap.max": "2097152",
        "pids.max": "40",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "memory.high": "9",
    }


def test_minus_one_lifts_a_limit() -> None:
    lifted = Limits(cpu_quota=-1, memory=-1, memory_swap=-1, pids=-1)
    assert values(version_1(lifted)) == {
        "cpu.cfs_quota_us": "-1",
        "memory.limit_in_bytes": "-1",
        "memory.memsw.limit_in_bytes": "-1",
        "pids.max": "max",
    }
    assert values(version_2(lifted)) == {
        "cpu.max": "max 100000",
        "memory.max": "max",
        "memory.swap.max": "max",
        "pids.max": "max",
    }


def test_nothing_asked_for_is_nothing_written() -> None:
    assert list(version_1(Limits())) == []
    assert list(version_2(Limits())) == []


@pytest.mark.parametrize(
    ("shares", "expected"),
    [(0, 1), (2, 1), (102, 17), (512, 59), (1024, 100), (2048, 174), (262144, 10000), (1 << 30, 10000)],
)
def test_weights_are_those_of_the_oci_runtimes(shares: int, expected: int) -> None:
    assert weight(shares) == expected


@given(st.integers(0, 300_000), st.integers(0, 300_000))
def test_more_shares_never_weigh_less(one: int, other: int) -> None:
    assert (weight(one) <= weight(other)) or one > other
    assert 1 <= weight(one) <= 10000
