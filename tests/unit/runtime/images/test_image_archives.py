"""Importing: docker archives of both layouts, OCI layouts, compressed or not, and archives that mean harm."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from podkeeper.foundation import mounts
from podkeeper.runtime.images import manifests
from podkeeper.runtime.images.archives import ImportFailure
from podkeeper.runtime.images.reference import InvalidReference
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig


@pytest.fixture
def layers(handmade: Any) -> list[bytes]:
    return [handmade.layer([handmade.Entry("a", data=b"1")]), handmade.layer([handmade.Entry("b", data=b"2")])]


def oci_layout(folder: Path, handmade: Any, layers: list[bytes], annotations: dict[str, str]) -> Path:
    """An OCI layout with gzip layers and one image; the index nests another index."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        digest = handmade.digest(data)
        (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    manifest = {
        "schemaVersion": 2,
        "config": put(handmade.image_config(layers), manifests.OCI_CONFIG),
        "layers": [put(gzip.compress(layer), f"{manifests.OCI_LAYER}+gzip") for layer in layers],
    }
    architecture = manifests.Platform.of_this_machine().architecture
    platform = {"os": "linux", "architecture": architecture}
    nested = {"manifests": [put(json.dumps(manifest).encode(), manifests.OCI_MANIFEST, platform=platform)]}
    index = {"manifests": [put(json.dumps(nested).encode(), manifests.OCI_INDEX, annotations=annotations)]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


def packed(folder: Path, path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in sorted(os.listdir(folder)):
            archive.add(folder / name, name)
    return path


async def files_of(store: ImageStore, image_id: str) -> set[str]:
    path = await store.snapshots.prepare("c", image_id)
    try:
        return set(os.listdir(path))
    finally:
        await store.snapshots.remove("c")


async def test_a_docker_archive_is_imported_under_its_names(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path
) -> None:
    archive = handmade.docker_archive(tmp_path / "i.tar", layers, ["app", "quay.io/x/app:v2"], Cmd=["/a"], User="7")
    (status,) = await store.import_archive(archive)
    assert status.tags == ("docker.io/library/app:latest", "quay.io/x/app:v2")
    assert (status.local, status.user, status.digests) == (True, "7", ())
    assert store.image_config(status.id).cmd == ("/a",)
    assert await files_of(store, status.id) == {"a", "b"}
    assert os.listdir(tmp_path / "images/content/blobs/sha256") == []


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
async def test_compressed_archives_are_imported(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path, mode: str
) -> None:
    folder = oci_layout(tmp_path / "layout", handmade, layers, {"org.opencontainers.image.ref.name": "app:v1"})
    (status,) = await store.import_archive(packed(folder, tmp_path / "i.tar", mode))
    assert status.tags == ("docker.io/library/app:v1",)


@pytest.mark.parametrize("key", ["org.opencontainers.image.ref.name", "io.containerd.image.name"])
async def test_an_oci_layout_is_imported_as_directory_and_as_archive(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path, key: str
) -> None:
    folder = oci_layout(tmp_path / "layout", handmade, layers, {key: "quay.io/x/app:v1"})
    (first,) = await store.import_archive(folder)
    (second,) = await store.import_archive(packed(folder, tmp_path / "i.tar"))
    assert first == second
    assert first.tags == ("quay.io/x/app:v1",)
    assert first.digests[0].startswith("quay.io/x/app@sha256:")
    assert await files_of(store, first.id) == {"a", "b"}


async def test_the_new_docker_layout_has_names_beside_the_oci_layout(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path
) -> None:
    folder = oci_layout(tmp_path / "layout", handmade, layers, {"org.opencontainers.image.ref.name": "latest"})
    config = handmade.digest(handmade.image_config(layers)).removeprefix("sha256:")
    names = [{"Config": f"blobs/sha256/{config}", "RepoTags": ["app:one", "app:two"], "Layers": []}]
    (folder / "manifest.json").write_text(json.dumps(names))
    (status,) = await store.import_archive(packed(folder, tmp_path / "i.tar"))
    assert status.tags == ("docker.io/library/app:one", "docker.io/library/app:two")


async def test_layers_of_old_archives_may_be_links_to_each_other(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path
) -> None:
    twice = [layers[0], layers[0]]
    with tarfile.open(tmp_path / "i.tar", "w") as archive:
        _add(archive, "one/layer.tar", layers[0])
        link = tarfile.TarInfo("two/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../one/layer.tar"
        archive.addfile(link)
        _add(archive, "c.json", handmade.image_config(twice))
        manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["one/layer.tar", "two/layer.tar"]}]
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    (status,) = await store.import_archive(tmp_path / "i.tar", "given")
    assert status.tags == ("docker.io/library/given:latest",)


async def test_a_name_moves_to_the_image_that_was_imported_last(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path
) -> None:
    for count in (1, 2):
        await store.import_archive(handmade.docker_archive(tmp_path / "i.tar", layers[:count], ["app"]))
    status = await store.image_status("app")
    assert status is not None
    assert len(store.index.layers_of(status.id)) == 2
    assert sorted(len(image.tags) for image in await store.list_images()) == [0, 1]


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _archive(path: Path, files: dict[str, bytes], links: dict[str, str]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, data in files.items():
            _add(archive, name, data)
    return path


@pytest.mark.parametrize(
    ("files", "links", "why"),
    [
        ({"x": b""}, {}, "neither a docker archive"),
        ({"manifest.json": b"{"}, {}, "manifest.json is not JSON"),
        ({"manifest.json": b"{}"}, {}, "manifest.json is not a list"),
        ({"manifest.json": b'[{"Config":1}]'}, {}, "names no configuration"),
        ({"manifest.json": b'[{"Config":"c","Layers":[]}]'}, {}, "'c' is missing"),
        ({"manifest.json": b'[{"Config":"/etc/passwd","Layers":[]}]'}, {}, "points outside of the archive"),
        ({"manifest.json": b'[{"Config":"c","Layers":[]}]'}, {"c": "/etc/passwd"}, "points outside of the archive"),
        ({"out/planted": b"!"}, {"out": "/tmp"}, "points outside of the archive"),
        ({"index.json": b'{"manifests":[]}', "oci-layout": b""}, {}, "no image in it"),
        ({"index.json": b" " * 9_000_000, "oci-layout": b""}, {}, "is too large"),
        (
            {
                "oci-layout": b"",
                "index.json": b'{"manifests":[{"digest":"sha256:' + b"0" * 64 + b'","size":2}]}',
                "blobs/sha256/" + "0" * 64: b"{}",
            },
            {},
            "has the digest",
        ),
        (
            {"manifest.json": b'[{"Config":"c","Layers":["l"]}]', "c": b"{}", "l": b"x"},
            {},
            "the configuration has 0 layers, but the manifest 1",
        ),
    ],
)
async def test_archives_without_a_usable_image_are_refused(
    store: ImageStore, tmp_path: Path, files: dict[str, bytes], links: dict[str, str], why: str
) -> None:
    archive = _archive(tmp_path / "bad.tar", files, links)
    with pytest.raises(ImportFailure, match=why):
        await store.import_archive(archive)
    assert await store.list_images() == []
    assert not list((tmp_path / "images").glob("imports/*"))


async def test_what_is_no_archive_is_refused(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello, world" * 100)
    with pytest.raises(ImportFailure, match="not a tar archive"):
        await store.import_archive(tmp_path / "text")
    with pytest.raises(ImportFailure, match="No such file"):
        await store.import_archive(tmp_path / "absent")


async def test_bad_names_in_an_archive_are_refused(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path
) -> None:
    with pytest.raises(InvalidReference):
        await store.import_archive(handmade.docker_archive(tmp_path / "i.tar", layers, ["Bad Name"]))
    assert await store.list_images() == []


async def test_no_directory_is_made_through_a_link(store: ImageStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = _archive(tmp_path / "bad.tar", {"out/a/b/planted": b"!"}, {"out": str(outside)})
    with pytest.raises(ImportFailure, match="points outside of the archive"):
        await store.import_archive(archive)
    assert list(outside.iterdir()) == []


async def test_an_archive_nested_without_end_is_refused(store: ImageStore, tmp_path: Path) -> None:
    archive = _archive(tmp_path / "bad.tar", {"d/" * 1500 + "file": b""}, {})
    with pytest.raises(ImportFailure, match="is nested too deep for an archive of images"):
        await store.import_archive(archive)
    assert not list((tmp_path / "images/imports").iterdir())


async def test_a_full_disk_is_named_and_nothing_is_left(handmade: Any, layers: list[bytes], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts.mount("tmpfs", disk, "tmpfs", 0, "size=48m")
    store = ImageStore(ImageStoreConfig(disk))
    try:
        big = handmade.layer([handmade.Entry("big", data=os.urandom(24 << 20))])
        archive = handmade.docker_archive(tmp_path / "big.tar", [layers[0], big], ["big"])
        before = os.statvfs(disk).f_bavail
        with pytest.raises(ImportFailure, match=r"No space left on device|are free"):
            await store.import_archive(archive)
        assert await store.list_images() == []
        assert before - os.statvfs(disk).f_bavail < 256
        await store.import_archive(handmade.docker_archive(tmp_path / "small.tar", layers, ["small"]))
    finally:
        await store.close()
        mounts.unmount_below(disk)


def _index(folder: Path, entries: list[dict[str, Any]]) -> None:
    (folder / "index.json").write_text(json.dumps({"manifests": entries}))


async def test_of_images_for_several_platforms_this_machines_is_imported(
    store: ImageStore, handmade: Any, layers: list[bytes], tmp_path: Path
) -> None:
    name = {"io.containerd.image.name": "docker.io/library/app:v1"}
    folder = oci_layout(tmp_path / "layout", handmade, layers, name)
    (mine,) = json.loads((folder / "index.json").read_text())["manifests"]
    foreign = {"mediaType": manifests.OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2, "annotations": name}
    other = foreign | {"platform": {"os": "linux", "architecture": "s390x"}}
    attestation = foreign | {"platform": {"os": "unknown", "architecture": "unknown"}}
    _index(folder, [mine, other, attestation])
    (status,) = await store.import_archive(folder)
    assert status.tags == ("docker.io/library/app:v1",)
    _index(folder, [other])
    with pytest.raises(ImportFailure, match="no match for platform in manifest: linux/"):
        await store.import_archive(folder)
