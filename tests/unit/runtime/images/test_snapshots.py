"""Root file systems over layers: writing, removal, hundreds of layers, what a killed process leaves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podkeeper.foundation import mounts
from podkeeper.foundation.clock import SystemClock
from podkeeper.runtime.failures import NotFound, RuntimeFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig
from podkeeper.runtime.images.snapshots import SnapshotFailure, mount_options


@pytest.fixture
async def image(store: ImageStore, handmade: Any, tmp_path: Path) -> str:
    """An image of two layers."""
    layers = [
        handmade.layer([handmade.Entry("lower", data=b"1"), handmade.Entry("both", data=b"old")]),
        handmade.layer([handmade.Entry("upper", data=b"2"), handmade.Entry("both", data=b"new")]),
    ]
    (status,) = await store.import_archive(handmade.docker_archive(tmp_path / "i.tar", layers, ["test"]))
    return status.id


async def test_containers_of_one_image_do_not_see_each_other(store: ImageStore, image: str) -> None:
    first, second = [await store.snapshots.prepare(name, image) for name in ("a", "b")]
    (first / "lower").write_text("changed")
    (first / "upper").unlink()
    assert (second / "lower").read_text() == "1"
    assert (second / "upper").read_text() == "2"
    assert (second / "both").read_text() == "new"
    assert store.snapshots.list() == {"a": image, "b": image}
    assert store.snapshots.mounted() == {"a", "b"}


async def test_removal_leaves_nothing_and_may_be_repeated(store: ImageStore, image: str, tmp_path: Path) -> None:
    path = await store.snapshots.prepare("a", image)
    assert path == store.snapshots.path("a")
    (path / "file").write_text("x")
    await store.snapshots.remove("a")
    await store.snapshots.remove("a")
    assert os.listdir(tmp_path / "images/snapshots") == []
    assert mounts.mounts_below(tmp_path) == []
    assert store.snapshots.list() == {}


async def test_a_busy_root_file_system_is_removed_all_the_same(store: ImageStore, image: str, tmp_path: Path) -> None:
    path = await store.snapshots.prepare("a", image)
    with (path / "lower").open() as held:
        await store.snapshots.remove("a")
        assert mounts.mounts_below(tmp_path) == []
        assert held.read() == "1"


async def test_two_snapshots_of_one_name_are_refused(store: ImageStore, image: str) -> None:
    path = await store.snapshots.prepare("a", image)
    (path / "mine").touch()
    with pytest.raises(SnapshotFailure, match="there is one of that name"):
        await store.snapshots.prepare("a", image)
    assert (path / "mine").exists()


async def test_no_snapshot_of_an_image_that_is_not_here(store: ImageStore) -> None:
    with pytest.raises(NotFound, match="is not here"):
        await store.snapshots.prepare("a", "sha256:" + "0" * 64)
    assert store.snapshots.list() == {}


async def test_an_image_in_use_is_not_removed(store: ImageStore, image: str) -> None:
    await store.snapshots.prepare("a", image)
    with pytest.raises(RuntimeFailure, match="a container uses it"):
        await store.remove_image("test")
    assert await store.image_status("test") is not None
    await store.snapshots.remove("a")
    await store.remove_image("test")
    assert await store.list_images() == []


async def test_usage_counts_what_was_written(store: ImageStore, image: str) -> None:
    path = await store.snapshots.prepare("a", image)
    assert await store.snapshots.usage("a") == (0, 0)
    (path / "dir").mkdir()
    (path / "dir/file").write_bytes(b"x" * 100_000)
    size, inodes = await store.snapshots.usage("a")
    assert 100_000 <= size < 130_000
    assert inodes == 2
    assert (await store.image_fs_usage())[0] >= size
    with pytest.raises(NotFound):
        await store.snapshots.usage("b")


@pytest.mark.parametrize("name", ["plain", "a,b:c d\\e=f'\"$x#\n", "\u00e9", "link/below"])
async def test_the_directory_may_have_any_name_and_lie_behind_a_link(handmade: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    store = ImageStore(ImageStoreConfig(tmp_path / name))
    try:
        layers = [handmade.layer([handmade.Entry("file", data=b"x")])]
        (image,) = await store.import_archive(handmade.docker_archive(tmp_path / "i.tar", layers, ["app"]))
        root = await store.snapshots.prepare("c", image.id)
        assert (root / "file").read_bytes() == b"x"
        with pytest.raises(OSError, match="Read-only"):
            (await store.snapshots.view("v", image.id) / "new").touch()
        assert store.snapshots.mounted() == {"c", "v"}
        await store.snapshots.sweep()
        assert mounts.mounts_below(tmp_path) == []
    finally:
        await store.close()
        mounts.unmount_below(tmp_path)


async def test_what_a_container_has_nested_too_deep_for_a_path_is_counted_and_removed(
    store: ImageStore, image: str, tmp_path: Path
) -> None:
    root = await store.snapshots.prepare("c", image)
    handle = os.open(root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("nested", dir_fd=handle)
        below = os.open("nested", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    assert (await store.snapshots.usage("c"))[1] == 1500
    assert (await store.image_fs_usage())[1] >= 1500
    await store.snapshots.remove("c")
    assert os.listdir(tmp_path / "images/snapshots") == []


async def test_a_view_cannot_be_written(store: ImageStore, image: str) -> None:
    path = await store.snapshots.view("v", image)
    assert (path / "both").read_text() == "new"
    with pytest.raises(OSError, match="Read-only"):
        (path / "file").touch()


async def test_hundreds_of_layers_fit_into_one_mount(store: ImageStore, handmade: Any, tmp_path: Path) -> None:
    empty = handmade.layer([handmade.Entry("first", data=b"1")])
    (one,) = await store.import_archive(handmade.docker_archive(tmp_path / "1.tar", [empty], ["one"]))
    layers = [*store.index.layers_of(one.id)]
    for number in range(1000, 1300):
        folder = tmp_path / f"made{number}"
        folder.mkdir()
        (folder / f"file{number}").touch()
        placed = await asyncio.to_thread(store.layers.adopt, folder, _layer(f"chain{number}"))
        layers.append(placed)
    config = handmade.image_config([])
    store.index.add_image("sha256:many", config, 0, layers, 0)
    path = await store.snapshots.prepare("many", "sha256:many")
    assert len(os.listdir(path)) == 301
    assert (path / "first").read_text() == "1"


def test_more_layers_than_fit_are_refused() -> None:
    with pytest.raises(OSError, match="300 layers are more than one mount can stack"):
        mount_options("snapshots/x", ["layers/1234567"] * 300)


async def test_what_a_killed_process_leaves_is_found_and_swept(
    tmp_path: Path, handmade: Any, store: ImageStore
) -> None:
    layers = [handmade.layer([handmade.Entry("a")])]
    (status,) = await store.import_archive(handmade.docker_archive(tmp_path / "i.tar", layers, ["test"]))
    program = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig\n"
        "async def main():\n"
        "    store = ImageStore(ImageStoreConfig(Path(sys.argv[1])))\n"
        "    path = await store.snapshots.prepare('left', sys.argv[2])\n"
        "    (path / 'file').write_text('written')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    root = str(tmp_path / "images")
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, root, status.id], check=False)
    assert done.returncode == -9
    assert store.snapshots.list() == {"left": status.id}
    assert store.snapshots.mounted() == {"left"}
    assert (store.snapshots.path("left") / "file").read_text() == "written"
    await store.snapshots.sweep()
    assert mounts.mounts_below(tmp_path) == []
    assert store.snapshots.list() == {}
    assert os.listdir(tmp_path / "images/snapshots") == []


async def test_another_process_sees_what_this_one_adds(store: ImageStore, image: str, tmp_path: Path) -> None:
    other = ImageStore(ImageStoreConfig(tmp_path / "images"), SystemClock())
    try:
        seen = await other.image_status("test")
        assert seen is not None
        assert seen.id == image
        await other.remove_image("test")
        assert await store.image_status("test") is None
    finally:
        await other.close()


def _layer(chain: str) -> Any:
    from podkeeper.runtime.images.index import Layer

    return Layer(0, chain, 0, 1, 0)
