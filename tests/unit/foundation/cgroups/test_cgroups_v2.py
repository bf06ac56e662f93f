"""Version 2 against the files of a machine that has it, copied into a directory."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from podkeeper.foundation.cgroups import CgroupError, CgroupMode, CgroupsV2, CgroupUsage, Layout, Limits
from podkeeper.foundation.cgroups import v2 as version_2

ROOT_FILES = {
    "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "cgroup.subtree_control": "cpu memory\n",
    "cgroup.procs": "1\n2\n",
}
GROUP_FILES = {
    "cgroup.controllers": "cpuset cpu io memory hugetlb pids\n",
    "cgroup.subtree_control": "",
    "cgroup.procs": "",
    "cgroup.freeze": "0\n",
    "cpu.max": "max 100000\n",
    "cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\nnr_periods 0\n",
    "cpu.weight": "100\n",
    "memory.current": "5000\n",
    "memory.max": "max\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n",
    "memory.stat": "anon 3000\nfile 1500\nkernel 500\ninactive_file 700\n",
    "pids.current": "4\n",
    "pids.max": "max\n",
}


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


def make(directory: Path, files: Mapping[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recording = Recorder(tmp_path)
    monkeypatch.setattr(version_2, "write", recording)
    return recording


@pytest.fixture
def cgroups(tmp_path: Path) -> CgroupsV2:
    make(tmp_path, ROOT_FILES)
    make(tmp_path / "node", GROUP_FILES)
    make(tmp_path / "node/pod", GROUP_FILES)
    return CgroupsV2(Layout(CgroupMode.UNIFIED, {}, tmp_path))


def test_creating_hands_the_wanted_controllers_down_on_the_way(cgroups: CgroupsV2, recorder: Recorder) -> None:
    cgroups.create("/node/pod", Limits(cpu_shares=1024, cpu_quota=50_000, memory=1 << 20, pids=9))
    down = [("cpuset", "io", "pids", "hugetlb"), ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")]
    assert recorder.written == [
        *(("cgroup.subtree_control", f"+{controller}") for controller in down[0]),
        *(("node/cgroup.subtree_control", f"+{controller}") for controller in down[1]),
        ("node/pod/cpu.weight", "100"),
        ("node/pod/cpu.max", "50000 100000"),
        ("node/pod/memory.max", "1048576"),
        ("node/pod/pids.max", "9"),
    ]


def test_processes_in_a_containers_root_move_aside(cgroups: CgroupsV2, recorder: Recorder) -> None:
    recorder.refusals["cgroup.subtree_control", "+cpuset"] = [16]
    cgroups.create("/node")
    assert recorder.written[:3] == [
        ("init/cgroup.procs", "1"),
        ("init/cgroup.procs", "2"),
        ("cgroup.subtree_control", "+cpuset"),
    ]


def test_a_group_with_processes_below_the_root_is_refused_by_name(cgroups: CgroupsV2, recorder: Recorder) -> None:
    recorder.refusals["node/cgroup.subtree_control", "+cpu"] = [16]
    with pytest.raises(CgroupError, match="node: processes run right in it"):
        cgroups.create("/node/pod")


def test_a_refused_value_names_file_and_group(cgroups: CgroupsV2, recorder: Recorder) -> None:
    recorder.refusals["node/memory.max", "5"] = [22]
    with pytest.raises(CgroupError, match=r"memory\.max=5 on the cgroup /node: Invalid argument"):
        cgroups.apply("/node", Limits(memory=5))


def test_a_setting_without_its_controller_is_left_out(cgroups: CgroupsV2, recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "node/pids.max").unlink()
    cgroups.apply("/node", Limits(pids=5, cpuset_cpus="0"))
    assert recorder.written == []


def test_usage_is_read_from_its_files(cgroups: CgroupsV2) -> None:
    assert cgroups.usage("/node") == CgroupUsage(
        cpu_ns=1_234_000, memory_usage=5000, memory_working_set=4300, memory_rss=3000, pids=4
    )
    assert cgroups.usage("/nowhere") == CgroupUsage()


def test_oom_kills_are_counted(cgroups: CgroupsV2) -> None:
    assert cgroups.memory_events("/node") == 1
    assert cgroups.memory_events("/nowhere") == 0


def test_processes_are_found_in_the_group_and_below(cgroups: CgroupsV2, tmp_path: Path) -> None:
    (tmp_path / "node/cgroup.procs").write_text("30\n")
    (tmp_path / "node/pod/cgroup.procs").write_text("20\n10\n")
    assert cgroups.processes("/node") == [10, 20, 30]
    assert cgroups.processes("/nowhere") == []
    assert cgroups.children("/node") == ["pod"]
    assert cgroups.children("/nowhere") == []


def test_killing_uses_the_kernels_own_way_where_there_is_one(
    cgroups: CgroupsV2, recorder: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "node/cgroup.kill").write_text("")
    cgroups.signal("/node", signal.SIGKILL)
    assert recorder.written == [("node/cgroup.kill", "1")]


def test_other_signals_are_sent_while_the_group_stands_still(cgroups: CgroupsV2, recorder: Recorder) -> None:
    cgroups.signal("/node", signal.SIGTERM)
    assert recorder.written == [("node/cgroup.freeze", "1"), ("node/cgroup.freeze", "0")]
