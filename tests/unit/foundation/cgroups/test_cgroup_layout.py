"""Which hierarchies a machine has, from the mount tables of machines that were seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.foundation.cgroups import CgroupError, CgroupMode, CgroupsV1, CgroupsV2, open_cgroups
from podkeeper.foundation.cgroups.layout import Layout, detect, missing_controllers, parse_layout

UNIFIED = "25 20 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 master:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
LEGACY = HYBRID.rsplit("41 31", 1)[0]


def test_version_2_alone() -> None:
    layout = parse_layout(UNIFIED)
    assert layout.mode is CgroupMode.UNIFIED
    assert layout.unified == Path("/sys/fs/cgroup")
    assert layout.hierarchies == (Path("/sys/fs/cgroup"),)


def test_version_1_beside_version_2() -> None:
    layout = parse_layout(HYBRID)
    assert layout.mode is CgroupMode.HYBRID
    root = Path("/sys/fs/cgroup")
    assert layout.controllers == {
        "cpu": root / "cpu,cpuacct",
        "cpuacct": root / "cpu,cpuacct",
        "memory": root / "memory",
        "name=systemd": root / "systemd",
    }
    assert layout.hierarchies == (root / "cpu,cpuacct", root / "memory", root / "systemd", root / "unified")


def test_version_1_alone() -> None:
    layout = parse_layout(LEGACY)
    assert (layout.mode, layout.unified) == (CgroupMode.LEGACY, None)


def test_a_later_mount_of_the_same_hierarchy_does_not_count() -> None:
    again = UNIFIED + "99 20 0:23 / /mnt/again rw - cgroup2 cgroup2 rw\n"
    assert parse_layout(again).unified == Path("/sys/fs/cgroup")
    again = LEGACY + "99 20 0:32 / /mnt/again rw - cgroup cgroup rw,memory\n"
    assert parse_layout(again).controllers["memory"] == Path("/sys/fs/cgroup/memory")


def test_a_path_with_a_space_is_read_as_it_is() -> None:
    assert parse_layout("1 2 0:3 / /my\\040groups rw - cgroup2 none rw\n").unified == Path("/my groups")


def test_a_machine_without_control_groups_is_told_what_to_do(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("1 2 0:3 / / rw - ext4 /dev/vda rw\n")
    with pytest.raises(CgroupError, match="mount one on /sys/fs/cgroup"):
        detect(table)


def test_the_version_decides_the_implementation() -> None:
    assert isinstance(open_cgroups(parse_layout(UNIFIED)), CgroupsV2)
    assert isinstance(open_cgroups(parse_layout(HYBRID)), CgroupsV1)
    assert isinstance(open_cgroups(parse_layout(LEGACY)), CgroupsV1)


@pytest.mark.parametrize(
    ("mode", "version_1", "version_2", "missing"),
    [
        (CgroupMode.UNIFIED, (), "cpuset cpu io memory pids", []),
        (CgroupMode.UNIFIED, (), "cpuset cpu io pids", ["memory"]),
        (CgroupMode.HYBRID, ("cpu", "memory"), "pids", []),
        (CgroupMode.HYBRID, ("cpu", "cpuacct"), "", ["memory", "pids"]),
        (CgroupMode.LEGACY, ("cpu", "memory", "pids"), None, []),
    ],
)
def test_controllers_that_the_kernel_does_not_offer_are_named(
    tmp_path: Path, mode: CgroupMode, version_1: tuple[str, ...], version_2: str | None, missing: list[str]
) -> None:
    (tmp_path / "cgroup.controllers").write_text(version_2 or "")
    unified = tmp_path if version_2 is not None else None
    assert missing_controllers(Layout(mode, {name: Path("/v1", name) for name in version_1}, unified)) == missing
