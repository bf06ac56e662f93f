"""Version 1 against directories that look like its hierarchies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from podkeeper.foundation.cgroups import CgroupError, CgroupMode, CgroupsV1, CgroupUsage, Layout, Limits
from podkeeper.foundation.cgroups import v1 as version_1

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "freezer", "memory", "pids")
FILES = {
    "cpu": {"cpu.shares": "1024\n", "cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"},
    "cpuacct": {"cpuacct.usage": "42\n"},
    "cpuset": {"cpuset.cpus": "\n", "cpuset.mems": "\n"},
    "freezer": {"freezer.state": "THAWED\n"},
    "memory": {
        "memory.usage_in_bytes": "5000\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.stat": "cache 1\ntotal_inactive_file 700\ntotal_rss 3000\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    },
    "pids": {"pids.current": "4\n", "pids.max": "max\n"},
}


@pytest.fixture
def cgroups(tmp_path: Path) -> CgroupsV1:
    for controller in CONTROLLERS:
        for group in ("node", "node/pod"):
            directory = tmp_path / controller / group
            directory.mkdir(parents=True)
            for name, text in {**FILES[controller], "cgroup.procs": ""}.items():
                (directory / name).write_text(text)
    (tmp_path / "cpuset/cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset/cpuset.mems").write_text("0\n")
    return CgroupsV1(Layout(CgroupMode.LEGACY, {name: tmp_path / name for name in CONTROLLERS}))


class Recorder:
    """Stands in for the writing of control files: keeps what was written, refuses what it is told to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.written: list[tuple[str, str]] = []
        self.refusals: dict[tuple[str, str], list[int]] = {}

    def __call__(self, file: Path, value: str) -> None:
        name = str(file.relative_to(self._root))
        if codes := self.refusals.get((name, value)):
            code = codes.pop(0)
            raise OSError(code, os.strerror(code))
        self.written.append((name, value))
        if name.startswith("cpuset/"):
            file.write_text(value)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recording = Recorder(tmp_path)
    monkeypatch.setattr(version_1, "write", recording)
    return recording


def test_new_groups_inherit_cpus_and_memory_nodes_from_above(cgroups: CgroupsV1, recorder: Recorder) -> None:
    cgroups.create("/node/pod")
    assert recorder.written == [
        ("cpuset/node/cpuset.cpus", "0-1"),
        ("cpuset/node/cpuset.mems", "0"),
        ("cpuset/node/pod/cpuset.cpus", "0-1"),
        ("cpuset/node/pod/cpuset.mems", "0"),
    ]


def test_each_limit_goes_to_its_hierarchy(cgroups: CgroupsV1, recorder: Recorder) -> None:
    cgroups.apply("/node", Limits(cpu_shares=2, memory=1 << 20, memory_swap=2 << 20, pids=9))
    assert recorder.written == [
        ("cpu/node/cpu.shares", "2"),
        ("memory/node/memory.limit_in_bytes", "1048576"),
        ("pids/node/pids.max", "9"),
    ]


def test_a_value_that_must_wait_for_another_is_tried_after_it(cgroups: CgroupsV1, recorder: Recorder) -> None:
    recorder.refusals["cpu/node/cpu.cfs_period_us", "50000"] = [22]
    cgroups.apply("/node", Limits(cpu_period=50_000, cpu_quota=10_000))
    assert recorder.written == [("cpu/node/cpu.cfs_quota_us", "10000"), ("cpu/node/cpu.cfs_period_us", "50000")]


def test_a_value_refused_twice_is_an_error_that_names_it(cgroups: CgroupsV1, recorder: Recorder) -> None:
    recorder.refusals["memory/node/memory.limit_in_bytes", "1"] = [16, 16]
    with pytest.raises(CgroupError, match=r"memory\.limit_in_bytes=1 on the cgroup /node: Device or resource busy"):
        cgroups.apply("/node", Limits(memory=1))


def test_usage_is_gathered_from_the_hierarchies(cgroups: CgroupsV1) -> None:
    assert cgroups.usage("/node") == CgroupUsage(
        cpu_ns=42, memory_usage=5000, memory_working_set=4300, memory_rss=3000, pids=4
    )
    assert cgroups.usage("/nowhere") == CgroupUsage()
    assert cgroups.memory_events("/node") == 3


def test_processes_are_gathered_from_all_hierarchies(cgroups: CgroupsV1, tmp_path: Path) -> None:
    (tmp_path / "pids/node/pod/cgroup.procs").write_text("20\n")
    (tmp_path / "memory/node/cgroup.procs").write_text("20\n10\n")
    assert cgroups.processes("/node") == [10, 20]


def test_children_are_those_of_any_hierarchy(cgroups: CgroupsV1, tmp_path: Path) -> None:
    (tmp_path / "memory/node/only-here").mkdir()
    assert cgroups.children("/node") == ["only-here", "pod"]
    assert cgroups.exists("/node/only-here")
    assert not cgroups.exists("/elsewhere")
