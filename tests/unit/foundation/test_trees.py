"""Directory trees that a stranger has filled: deeper than paths can say, wider than a process may open files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from podkeeper.foundation import mounts
from podkeeper.foundation.trees import remove_tree, tree_usage

DEPTH = 3000


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Directories in one another until the path is three times as long as any call takes, a file in the last."""
    root = tmp_path / "deep"
    root.mkdir()
    handle = os.open(root, os.O_RDONLY)
    for number in range(DEPTH):
        os.mkdir("abc", dir_fd=handle)
        if number % 100 == 0:
            os.symlink(tmp_path / "outside", "link", dir_fd=handle)
        below = os.open("abc", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle), "wb") as file:
        file.write(bytes(1 << 20))
    os.close(handle)
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "kept").touch()
    return folder


def test_what_is_deep_is_counted_and_removed(deep: Path, outside: Path) -> None:
    size, inodes = tree_usage(deep)
    assert inodes == DEPTH + DEPTH // 100 + 1
    assert size >= 1 << 20
    remove_tree(deep)
    assert not deep.exists()
    assert (outside / "kept").exists()


def test_a_volume_that_is_deep_is_removed_with_its_mounts(deep: Path, outside: Path) -> None:
    mounts.remove_tree(deep)
    assert not deep.exists()
    assert (outside / "kept").exists()


def test_odd_names_are_no_matter(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path) + b"/tree"
    os.makedirs(root + b"/\xff\xfe/ \n/-rf")
    os.mkfifo(root + b"/\xff\xfe/pipe")
    assert tree_usage(tmp_path / "tree")[1] == 4
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(NotADirectoryError):
        remove_tree(tmp_path / "link")
    assert (outside / "kept").exists()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        remove_tree(tmp_path / "absent")
    assert tree_usage(tmp_path / "absent") == (0, 0)
