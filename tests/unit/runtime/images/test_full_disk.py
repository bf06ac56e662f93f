"""What an image store on a full disk says, and that it goes on when there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podkeeper.foundation import mounts
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.archives import ImportFailure
from podkeeper.runtime.images.collection import Thresholds
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

NO_ROOM = r"No space left|is full|are free|does not fit"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 megabytes."""
    if os.geteuid() != 0:
        pytest.skip("a file system of a chosen size needs root to be mounted")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounts.mount("tmpfs", folder, "tmpfs", 0, "size=64m")
    yield folder
    mounts.unmount_below(folder)


def fill(path: Path) -> None:
    """Takes every byte that is left."""
    with path.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(1 << 12))
        except OSError:
            pass


async def test_without_any_room_everything_is_refused_and_goes_on_later(
    disk: Path, handmade: Any, tmp_path: Path
) -> None:
    layers = [handmade.layer([handmade.Entry("file", data=b"x" * 100_000)])]
    archive = handmade.docker_archive(tmp_path / "i.tar", layers, ["app"])
    store = ImageStore(ImageStoreConfig(disk / "images"))
    try:
        (image,) = await store.import_archive(archive)
        more = handmade.docker_archive(tmp_path / "m.tar", [*layers, handmade.layer([handmade.Entry("b")])], ["more"])
        fill(disk / "ballast")
        with pytest.raises(ImportFailure, match=NO_ROOM):
            await store.import_archive(more)
        with pytest.raises(RuntimeFailure, match=NO_ROOM):
            _ = [await store.snapshots.prepare(f"c{number}", image.id) for number in range(1000)]
        assert [each.id for each in await store.list_images()] == [image.id]
        (disk / "ballast").unlink()
        await store.import_archive(more)
        await store.snapshots.sweep()
        await store.snapshots.prepare("later", image.id)
        await store.snapshots.remove("later")
        assert len(await store.collect(Thresholds(high=0, low=0, min_age=-1))) == 2
        assert os.listdir(disk / "images/layers") == ["0"]
    finally:
        await store.snapshots.sweep()
        await store.close()


async def test_a_layer_that_fills_the_disk_leaves_room_behind(disk: Path, handmade: Any, tmp_path: Path) -> None:
    big = [handmade.layer([handmade.Entry(f"big{n}", data=os.urandom(20 << 20))]) for n in range(2)]
    store = ImageStore(ImageStoreConfig(disk / "images"))
    try:
        before = os.statvfs(disk).f_bavail
        with pytest.raises(ImportFailure, match=NO_ROOM):
            await store.import_archive(handmade.docker_archive(tmp_path / "i.tar", big, ["big"]))
        assert (before - os.statvfs(disk).f_bavail) * 4096 < 1 << 20
    finally:
        await store.close()
