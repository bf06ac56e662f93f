"""Whether containers' root file systems can lie in the data directory: tried before anything is started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.requirements import check_file_system
from podkeeper.foundation import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs, on which overlayfs works wherever the tests' own directory is."""
    mounts.mount_tmpfs(tmp_path, 1 << 20, "0755")
    yield tmp_path
    mounts.unmount_below(tmp_path)


@pytest.mark.parametrize("name", ["plain", "with, comma: and colon"])
def test_a_directory_that_is_fine_is_left_as_it_was(place: Path, name: str) -> None:
    (place / name).mkdir()
    check_file_system(place / name)
    assert list((place / name).iterdir()) == []


def test_an_overlay_is_refused_by_its_name_with_what_to_do(place: Path) -> None:
    for name in ("lower", "upper", "work", "data"):
        (place / name).mkdir()
    options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
    mounts.mount("overlay", place / "data", "overlay", 0, options)
    with pytest.raises(ClusterError, match="which is on overlay") as caught:
        check_file_system(place / "data")
    assert "ext4" in caught.value.advice
    assert list((place / "data").iterdir()) == []
