"""What a layer becomes on disk: whiteouts, links, owners, devices, attributes; and what no archive can do."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from podkeeper.runtime.images.archives import ImportFailure
from podkeeper.runtime.images.service import ImageStore

CAPABILITY = struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0)  # cap_net_bind_service, effective


class Node:
    """An image store, and a way to see what layers look like in it."""

    def __init__(self, store: ImageStore, handmade: Any, folder: Path) -> None:
        self.store, self.handmade, self.folder = store, handmade, folder

    async def directories(self, *layers: Sequence[Any]) -> list[Path]:
        """Imports an image of the layers and returns the directory of each, lowest first."""
        archives = [self.handmade.layer(entries) for entries in layers]
        archive = self.handmade.docker_archive(self.folder / "image.tar", archives, ["test"])
        imported = await self.store.import_archive(archive)
        return [self.store.layers.path(layer) for layer in self.store.index.layers_of(imported[0].id)]

    async def rootfs(self, *layers: Sequence[Any]) -> Path:
        """The mounted root file system of an image of the layers."""
        await self.directories(*layers)
        status = await self.store.image_status("test")
        assert status is not None
        return await self.store.snapshots.prepare("c", status.id)


@pytest.fixture
def node(store: ImageStore, handmade: Any, tmp_path: Path) -> Node:
    return Node(store, handmade, tmp_path)


@pytest.fixture
def entry(handmade: Any) -> Any:
    return handmade.Entry


async def test_modes_owners_and_times_are_kept(node: Node, entry: Any) -> None:
    (layer,) = await node.directories(
        [
            entry("tmp", tarfile.DIRTYPE, mode=0o1777, owner=(3, 4)),
            entry("tmp/set-uid", data=b"x", mode=0o6755, owner=(1000, 2000)),
            entry("tmp/link", tarfile.SYMTYPE, link="/etc/passwd", owner=(5, 6)),
            entry("tmp/" + "n" * 200, data=b"long"),
        ]
    )
    folder = (layer / "tmp").stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid, folder.st_mtime) == (0o1777, 3, 4, 1e9)
    program = (layer / "tmp/set-uid").stat()
    assert (stat.S_IMODE(program.st_mode), program.st_uid, program.st_gid) == (0o6755, 1000, 2000)
    link = (layer / "tmp/link").lstat()
    assert (os.readlink(layer / "tmp/link"), link.st_uid, link.st_mtime) == ("/etc/passwd", 5, 1e9)
    assert (layer / "tmp" / ("n" * 200)).read_bytes() == b"long"


async def test_devices_pipes_hard_links_and_capabilities_are_kept(node: Node, entry: Any) -> None:
    value = CAPABILITY.decode("latin-1")
    (layer,) = await node.directories(
        [
            entry("null", tarfile.CHRTYPE, device=(1, 3), mode=0o666),
            entry("disk", tarfile.BLKTYPE, device=(7, 0), mode=0o660),
            entry("pipe", tarfile.FIFOTYPE, mode=0o600),
            entry("program", data=b"x", mode=0o755, pax={"SCHILY.xattr.security.capability": value}),
            entry("same", tarfile.LNKTYPE, link="program"),
        ]
    )
    null, disk = (layer / "null").stat(), (layer / "disk").stat()
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev, stat.S_IMODE(null.st_mode)) == (True, os.makedev(1, 3), 0o666)
    assert (stat.S_ISBLK(disk.st_mode), disk.st_rdev) == (True, os.makedev(7, 0))
    assert stat.S_ISFIFO((layer / "pipe").stat().st_mode)
    assert os.getxattr(layer / "same", "security.capability") == CAPABILITY
    assert (layer / "same").stat().st_ino == (layer / "program").stat().st_ino


async def test_whiteouts_hide_what_is_below(node: Node, entry: Any) -> None:
    root = await node.rootfs(
        [
            entry("keep", data=b"k"),
            entry("gone", data=b"g"),
            entry("dir", tarfile.DIRTYPE, mode=0o755),
            entry("dir/old", data=b"o"),
            entry("swap", tarfile.DIRTYPE, mode=0o755),
            entry("swap/inside", data=b"i"),
        ],
        [
            entry(".wh.gone"),
            entry("dir", tarfile.DIRTYPE, mode=0o755),
            entry("dir/new", data=b"n"),
            entry("dir/.wh..wh..opq"),
            entry(".wh..wh.plnk", tarfile.DIRTYPE),
            entry(".wh.swap"),
            entry("swap", tarfile.DIRTYPE, mode=0o700),
        ],
    )
    assert sorted(path.name for path in root.iterdir()) == ["dir", "keep", "swap"]
    assert [path.name for path in (root / "dir").iterdir()] == ["new"]
    assert list((root / "swap").iterdir()) == []


async def test_a_whiteout_after_its_name_hides_only_what_is_below(node: Node, entry: Any) -> None:
    root = await node.rootfs(
        [entry("dir", tarfile.DIRTYPE, mode=0o755), entry("dir/old", data=b"o"), entry("file", data=b"old")],
        [
            entry("dir", tarfile.DIRTYPE, mode=0o755),
            entry("dir/new", data=b"n"),
            entry(".wh.dir"),
            entry("file", data=b"new"),
            entry(".wh.file"),
        ],
    )
    assert [path.name for path in (root / "dir").iterdir()] == ["new"]
    assert (root / "file").read_bytes() == b"new"


async def test_a_directory_that_a_layer_implies_has_its_attributes_from_below(node: Node, entry: Any) -> None:
    root = await node.rootfs(
        [
            entry(".", tarfile.DIRTYPE, mode=0o711),
            entry("tmp", tarfile.DIRTYPE, mode=0o1777, owner=(1, 2)),
            entry("hidden", tarfile.DIRTYPE, mode=0o700),
            entry("opaque", tarfile.DIRTYPE, mode=0o755),
            entry("opaque/sub", tarfile.DIRTYPE, mode=0o700),
        ],
        [entry(".wh.hidden"), entry("opaque", tarfile.DIRTYPE, mode=0o755), entry("opaque/.wh..wh..opq")],
        [entry("tmp/file"), entry("hidden/file"), entry("opaque/sub/file")],
    )
    tmp = (root / "tmp").stat()
    assert (stat.S_IMODE(tmp.st_mode), tmp.st_uid, tmp.st_gid) == (0o1777, 1, 2)
    assert stat.S_IMODE((root / "hidden").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "opaque/sub").stat().st_mode) == 0o755
    assert stat.S_IMODE(root.stat().st_mode) == 0o711


async def test_a_hard_link_to_a_lower_layer_is_a_copy(node: Node, entry: Any) -> None:
    _, upper = await node.directories(
        [entry("bin", tarfile.DIRTYPE, mode=0o755), entry("bin/tool", data=b"tool", mode=0o4755, owner=(7, 8))],
        [entry("bin/same", tarfile.LNKTYPE, link="bin/tool")],
    )
    copy = (upper / "bin/same").stat()
    assert (stat.S_IMODE(copy.st_mode), copy.st_uid, copy.st_mtime) == (0o4755, 7, 1e9)
    assert (upper / "bin/same").read_bytes() == b"tool"


async def test_entries_below_a_link_of_the_layer_land_where_a_container_sees_them(node: Node, entry: Any) -> None:
    (layer,) = await node.directories(
        [
            entry("usr/lib", tarfile.DIRTYPE, mode=0o755),
            entry("lib", tarfile.SYMTYPE, link="/usr/lib"),
            entry("lib/a", data=b"a"),
            entry("up", tarfile.SYMTYPE, link="../../../../usr"),
            entry("up/b", data=b"b"),
        ]
    )
    assert (layer / "usr/lib/a").read_bytes() == b"a"
    assert (layer / "usr/b").read_bytes() == b"b"


async def test_later_entries_replace_earlier_ones_of_any_kind(node: Node, entry: Any) -> None:
    (layer,) = await node.directories(
        [
            entry("x", tarfile.DIRTYPE, mode=0o755),
            entry("x/deep/file", data=b"1"),
            entry("x", data=b"file"),
            entry("y", tarfile.SYMTYPE, link="/etc"),
            entry("y", tarfile.DIRTYPE, mode=0o755),
            entry("z", data=b"1"),
            entry("z/below", data=b"2"),
        ]
    )
    assert (layer / "x").read_bytes() == b"file"
    assert (layer / "y").is_dir()
    assert not (layer / "y").is_symlink()
    assert (layer / "z/below").read_bytes() == b"2"


async def test_attributes_that_steer_overlayfs_are_dropped(node: Node, entry: Any) -> None:
    (layer,) = await node.directories(
        [
            entry(
                "dir",
                tarfile.DIRTYPE,
                mode=0o755,
                pax={"SCHILY.xattr.trusted.overlay.redirect": "/secret", "SCHILY.xattr.user.kept": "yes"},
            )
        ]
    )
    assert os.listxattr(layer / "dir") == ["user.kept"]


async def test_links_out_of_the_layer_reach_nothing_outside(node: Node, entry: Any, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (layer,) = await node.directories(
        [
            entry("out", tarfile.SYMTYPE, link=str(victim)),
            entry("out/planted", data=b"!"),
            entry("up", tarfile.SYMTYPE, link="../" * 20 + str(victim)[1:]),
            entry("up/planted", data=b"!"),
            entry("/absolute", data=b"inside"),
        ]
    )
    assert list(victim.iterdir()) == []
    assert (layer / "absolute").read_bytes() == b"inside"


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([("../escape", {})], "points outside of the layer"),
        ([("a/../../escape", {})], "points outside of the layer"),
        ([("a", {"kind": tarfile.LNKTYPE, "link": "../../etc/passwd"})], "points outside of the layer"),
        ([("a", {"kind": tarfile.LNKTYPE, "link": "/etc/passwd"})], "which is in no layer"),
        ([("a", {"kind": tarfile.LNKTYPE, "link": "a"})], "hard link to itself"),
        ([("d", {"kind": tarfile.DIRTYPE}), ("h", {"kind": tarfile.LNKTYPE, "link": "d"})], "cannot be a hard link"),
        ([(".", {"kind": tarfile.SYMTYPE, "link": "x"})], "would replace the root directory"),
        ([("d/.wh.", {})], "hides nothing that has a name"),
        ([("d/.wh...", {})], "hides nothing that has a name"),
        ([("loop", {"kind": tarfile.SYMTYPE, "link": "loop"}), ("loop/x", {})], "levels of symbolic links"),
        ([("hole", {"pax": {"GNU.sparse.major": "1"}})], "is a sparse file"),
    ],
)
async def test_what_an_archive_must_not_do_is_refused(
    node: Node, entry: Any, entries: list[tuple[str, dict[str, Any]]], why: str
) -> None:
    with pytest.raises(ImportFailure, match=why):
        await node.directories([entry(name, **fields) for name, fields in entries])
    assert await node.store.list_images() == []
    assert sorted(os.listdir(node.folder / "images/layers")) == ["0"]


async def test_a_file_larger_than_the_disk_is_refused_before_it_is_written(
    node: Node, handmade: Any, tmp_path: Path
) -> None:
    member = tarfile.TarInfo("huge")
    member.size = 1 << 60
    data = member.tobuf(tarfile.PAX_FORMAT) + b"x" * 512
    archive = handmade.docker_archive(tmp_path / "huge.tar", [data], ["huge"])
    with pytest.raises(ImportFailure, match=f"'huge' needs {1 << 60} bytes, but only"):
        await node.store.import_archive(archive)


async def test_a_layer_that_is_not_what_the_image_says_is_refused(node: Node, handmade: Any, tmp_path: Path) -> None:
    good, other = handmade.layer([handmade.Entry("a")]), handmade.layer([handmade.Entry("b")])
    archive = handmade.docker_archive(tmp_path / "image.tar", [good], ["test"])
    with tarfile.open(archive) as source:
        config = source.extractfile("config.json")
        assert config is not None
        said = config.read()
    forged = handmade.docker_archive(tmp_path / "forged.tar", [other], ["test"])
    data = forged.read_bytes().replace(handmade.image_config([other]), said)
    forged.write_bytes(data)
    with pytest.raises(ImportFailure, match="but the image says"):
        await node.store.import_archive(forged)


async def test_layers_of_one_image_unpack_once_for_all(node: Node, entry: Any, handmade: Any, tmp_path: Path) -> None:
    base, top = handmade.layer([entry("base")]), handmade.layer([entry("top")])
    await node.store.import_archive(handmade.docker_archive(tmp_path / "1.tar", [base], ["one"]))
    await node.store.import_archive(handmade.docker_archive(tmp_path / "2.tar", [base, top], ["two"]))
    one, two = [await node.store.image_status(name) for name in ("one", "two")]
    assert one is not None
    assert two is not None
    shared, *own = node.store.index.layers_of(two.id)
    assert node.store.index.layers_of(one.id) == [shared]
    await node.store.remove_image("two")
    assert node.store.layers.path(shared).exists()
    assert not node.store.layers.path(own[0]).exists()


async def test_names_that_are_no_text_are_kept(node: Node, entry: Any) -> None:
    name = os.fsdecode(b"\xff\xfe")
    below, layer = await node.directories(
        [entry(f"{name}-dir", tarfile.DIRTYPE, mode=0o700, owner=(7, 8))],
        [entry(f"{name}-dir/{name}-file", data=b"x"), entry(f"{name}-link", tarfile.SYMTYPE, link=name)],
    )
    folder = (layer / f"{name}-dir").stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid) == (0o700, 7, 8)
    assert os.listdir(os.fsencode(layer / f"{name}-dir")) == [b"\xff\xfe-file"]
    assert os.readlink(os.fsencode(layer / f"{name}-link")) == b"\xff\xfe"
    assert below.name != layer.name


async def test_what_is_refused_is_named_although_it_is_no_text(node: Node, entry: Any) -> None:
    name = os.fsdecode(b"\xff")
    with pytest.raises(ImportFailure) as refused:
        await node.directories([entry(f"{name}{'n' * 300}", data=b"x")])
    assert "File name too long" in str(refused.value)
    assert str(refused.value).encode()


@pytest.mark.parametrize(("owner", "refused"), [((1 << 31, (1 << 32) - 2), False), ((1 << 32, 0), True)])
async def test_owners_are_as_large_as_the_kernel_has_them(
    node: Node, entry: Any, owner: tuple[int, int], refused: bool
) -> None:
    if refused:
        with pytest.raises(ImportFailure, match=r"'file' belongs to 4294967296:0, which no system has"):
            await node.directories([entry("file", owner=owner)])
        return
    (layer,) = await node.directories([entry("file", owner=owner)])
    found = (layer / "file").stat()
    assert (found.st_uid, found.st_gid) == owner


async def test_times_that_no_clock_shows_are_the_epoch(node: Node, entry: Any) -> None:
    (layer,) = await node.directories(
        [entry("file", pax={"mtime": "1" + "0" * 30}), entry("old", pax={"mtime": "-1.5"})]
    )
    assert (layer / "file").stat().st_mtime == 0
    assert (layer / "old").stat().st_mtime == -1.5


async def test_directories_nested_deep_come_and_go(node: Node, entry: Any) -> None:
    (layer,) = await node.directories([entry("d/" * 1500 + "file", data=b"x")])
    await node.store.remove_image("test")
    assert not layer.exists()
