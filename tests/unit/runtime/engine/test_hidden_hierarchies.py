"""Controllers taken from version 2 without a visible mount, and given back. Done with one that nobody else uses."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podkeeper.foundation.cgroups import CgroupMode, Layout
from podkeeper.runtime.engine import hidden_hierarchies as hidden

CONTROLLER = "net_prio"


def version_1_hierarchy() -> int:
    """The number of the version 1 hierarchy that has the controller, 0 for none."""
    rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()]
    return next((int(row[1]) for row in rows if row[0] == CONTROLLER), -1)


def held_by_others(scratch: Path) -> bool:
    with hidden._mounted(CONTROLLER, scratch) as root:
        return bool({entry.name for entry in root.iterdir() if entry.is_dir()} - {"one", "two"})


@pytest.fixture
async def scratch(tmp_path: Path) -> AsyncIterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if version_1_hierarchy() != 0:
        pytest.skip(f"this kernel has no {CONTROLLER}, or somebody uses it")
    yield tmp_path / "hierarchy"
    for group in ("/one", "/two"):
        await hidden.release(CONTROLLER, group, tmp_path / "hierarchy")


async def test_a_controller_stays_hidden_until_its_last_user_has_gone(scratch: Path) -> None:
    hidden.hide(CONTROLLER, "/one", scratch)
    hidden.hide(CONTROLLER, "/two", scratch)
    hidden.hide(CONTROLLER, "/two", scratch)
    assert CONTROLLER not in Path("/proc/self/mounts").read_text()
    assert not scratch.exists()
    assert version_1_hierarchy() > 0
    await hidden.release(CONTROLLER, "/one", scratch)
    assert version_1_hierarchy() > 0
    await hidden.release(CONTROLLER, "/two", scratch)
    # An engine that another test opens at this moment takes hold of whatever is hidden.
    assert version_1_hierarchy() == 0 or held_by_others(scratch)
    assert CONTROLLER not in Path("/proc/self/mounts").read_text()


def test_strays_are_those_of_version_2_and_those_that_another_engine_has_hidden(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("hugetlb misc\n")
    table = tmp_path / "cgroups"
    table.write_text(
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t26\t1\nhugetlb\t0\t1\t1\nrdma\t9\t2\t1\n"
    )
    memory = {"memory": Path("/m")}
    assert hidden.stray_controllers(Layout(CgroupMode.HYBRID, memory, tmp_path), table) == ["hugetlb", "misc", "rdma"]
    assert hidden.stray_controllers(Layout(CgroupMode.UNIFIED, {}, tmp_path), table) == []
    assert hidden.stray_controllers(Layout(CgroupMode.LEGACY, memory, None), table) == []
