"""Mounts by system call, the mount table, and removing trees without ever reaching behind a mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from podkeeper.foundation import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    mounts.unmount_below(tmp_path)


@pytest.mark.parametrize("name", ["plain", "with space", "tab\tand\nline", "back\\slash", "\udcff\udcfe"])
def test_the_table_tells_what_is_mounted_whatever_its_name(directory: Path, name: str) -> None:
    target = directory / name
    target.mkdir()
    assert mounts.mounts_below(directory) == []
    mounts.mount("source", target, "tmpfs", mounts.MS_NOEXEC, "size=4096k")
    assert [(each.path, each.filesystem, each.source) for each in mounts.mounts_below(directory)] == [
        (target, "tmpfs", "source")
    ]
    assert "size=4096k" in mounts.mounts_below(target)[0].options
    assert mounts.is_mount_point(target)
    assert not mounts.is_mount_point(directory)
    mounts.unmount(target, detach=False)
    assert mounts.mounts_below(directory) == []


def test_a_name_that_only_begins_alike_is_not_below(directory: Path) -> None:
    (directory / "a").mkdir()
    (directory / "ab").mkdir()
    mounts.mount_tmpfs(directory / "ab", size=4096)
    assert mounts.mounts_below(directory / "a") == []


def test_a_directory_is_found_through_a_link(directory: Path) -> None:
    (directory / "real").mkdir()
    (directory / "link").symlink_to("real")
    mounts.mount_tmpfs(directory / "real")
    assert mounts.is_mount_point(directory / "link")
    assert len(mounts.mounts_below(directory / "link")) == 1


def test_a_busy_mount_goes_only_when_it_may_be_detached(directory: Path) -> None:
    mounts.mount_tmpfs(directory)
    with open(directory / "open", "w"):
        with pytest.raises(OSError, match="busy") as caught:
            mounts.unmount(directory, detach=False)
        assert caught.value.filename == str(directory)
        mounts.unmount(directory)
    with pytest.raises(OSError, match="Invalid argument"):
        mounts.unmount(directory)


def test_removing_a_tree_never_reaches_behind_a_mount(directory: Path) -> None:
    precious = directory / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    tree = directory / "tree"
    (tree / "with space").mkdir(parents=True)
    mounts.bind(str(precious), tree / "with space")
    assert mounts.is_mount_point(tree / "with space")
    mounts.remove_tree(tree)
    assert not tree.exists()
    assert (precious / "file").read_text() == "precious"


def test_removing_a_pin_unmounts_nothing_where_it_came_from(directory: Path) -> None:
    source, tree = directory / "source", directory / "tree"
    for directory in (source, tree / "pin"):
        directory.mkdir(parents=True)
    mounts.mount_tmpfs(source)
    subprocess.run(["mount", "--make-shared", str(source)], check=True)
    (source / "before").mkdir()
    mounts.mount_tmpfs(source / "before")
    mounts.bind(str(source), tree / "pin")
    (source / "after").mkdir()
    mounts.mount_tmpfs(source / "after")  # travels to the pin, and must not travel back when it goes there
    assert (tree / "pin/after").is_mount()
    mounts.remove_tree(tree)
    assert (source / "before").is_mount()
    assert (source / "after").is_mount()


def test_a_path_lies_in_the_nearest_and_latest_mount(directory: Path) -> None:
    outside = mounts.mount_of(directory)
    assert directory.is_relative_to(outside.path)
    for source in ("first", "second"):
        mounts.mount(source, directory, "tmpfs")
    (directory / "below").mkdir()
    assert mounts.mount_of(directory / "below").source == "second"
