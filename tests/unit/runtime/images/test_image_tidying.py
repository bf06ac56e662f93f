"""What goes by itself: unused images when the disk is full, and what killed processes have left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from podkeeper.foundation import mounts
from podkeeper.runtime.images.archives import ImportFailure
from podkeeper.runtime.images.collection import Thresholds
from podkeeper.runtime.images.service import ImageStore

FULL = Thresholds(high=0, low=0, min_age=-1)


async def add(store: ImageStore, handmade: Any, folder: Path, name: str, *contents: str) -> str:
    layers = [handmade.layer([handmade.Entry(text, data=text.encode())]) for text in contents]
    (status,) = await store.import_archive(handmade.docker_archive(folder / "i.tar", layers, [name]))
    return str(status.id)


async def test_unused_images_go_when_the_disk_is_full(store: ImageStore, handmade: Any, tmp_path: Path) -> None:
    used = await add(store, handmade, tmp_path, "used", "base", "used")
    pinned = await add(store, handmade, tmp_path, "pinned", "pinned")
    idle = await add(store, handmade, tmp_path, "idle", "base", "idle")
    store.index.pin(pinned, True)
    await store.snapshots.prepare("c", used)
    assert await store.collect(Thresholds(high=101)) == []
    assert await store.collect(FULL) == [idle]
    assert {image.id for image in await store.list_images()} == {used, pinned}
    assert len(os.listdir(tmp_path / "images/layers")) == 1 + 3
    status = await store.image_status("pinned")
    assert status is not None
    assert status.pinned


async def test_recently_used_images_stay(store: ImageStore, handmade: Any, tmp_path: Path) -> None:
    await add(store, handmade, tmp_path, "new", "new")
    assert await store.collect(Thresholds(high=0, low=0, min_age=3600)) == []


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

async def main():
    store = ImageStore(ImageStoreConfig(Path(sys.argv[1])))
    async with store.bringing_in():
        await store.snapshots.prepare("build-killed", sys.argv[2])
        folder, lock = store.layers._new_folder()
        (folder / "half").touch()
        (Path(sys.argv[1]) / "imports/import-half").mkdir()
        (Path(sys.argv[1]) / "content/ingest" / ("0" * 64)).write_bytes(b"partial")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_a_killed_build_leaves_is_removed(store: ImageStore, handmade: Any, tmp_path: Path) -> None:
    image = await add(store, handmade, tmp_path, "base", "base")
    root = tmp_path / "images"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", KILLED, str(root), image], check=False)
    assert done.returncode == -9
    assert store.snapshots.mounted() == {"build-killed"}
    assert len(os.listdir(root / "layers")) == 3
    await store.tidy()
    assert store.snapshots.list() == {}
    assert os.listdir(root / "imports") == []
    assert mounts.mounts_below(tmp_path) == []
    assert len(os.listdir(root / "layers")) == 2
    assert os.listdir(root / "content/ingest") == ["0" * 64], "an interrupted download may be resumed"
    await store.remove_image("base")
    assert os.listdir(root / "layers") == ["0"]


async def test_nothing_goes_while_images_are_brought_in(store: ImageStore, handmade: Any, tmp_path: Path) -> None:
    image = await add(store, handmade, tmp_path, "base", "base")
    async with store.bringing_in():
        await store.snapshots.prepare("build-running", image)
        await store.tidy()
        assert store.snapshots.list() == {"build-running": image}
    assert store.snapshots.list() == {}


async def test_a_failed_import_leaves_no_thread_behind(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"x" * 2000)
    with pytest.raises(ImportFailure, match="not a tar archive"):
        await store.import_archive(tmp_path / "bad")
    assert "layer-digest" not in {thread.name for thread in threading.enumerate()}
