"""Images from files: ``docker save`` archives (old and new layout) and OCI layouts, as a directory or a tar archive.

An archive is spread into a temporary directory first (by name, no links followed), because its index may come last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import shutil
import stat
import tempfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images import manifests, tarstream
from podkeeper.runtime.images.config import InvalidImage, parse_object
from podkeeper.runtime.images.manifests import Descriptor, Platform
from podkeeper.runtime.images.streams import BadCompression, PieceReader, decompressed
from podkeeper.runtime.images.tarstream import BadArchive, TarEntry, TarStream

_DOCUMENT_LIMIT = 8 << 20
_PIECE = 1 << 20
_NESTING = 32


class ImportFailure(RuntimeFailure):
    """An archive holds no image that can be used; the text says which file and why."""


class ArchivedImage(Struct, frozen=True):
    """One image of an archive. ``names`` are as written; ``layers`` are blobs with the file that each is in.

    ``manifest_digest`` is empty for docker archives, which have no manifest of a registry's kind.
    """

    config: bytes
    layers: tuple[Descriptor, ...]
    files: tuple[Path, ...]
    names: tuple[str, ...]
    manifest_digest: str = ""


@contextlib.contextmanager
def opened(path: Path, scratch: Path) -> Iterator[list[ArchivedImage]]:
    """The images in a file or directory; their files are there while the context lasts. Raises ImportFailure."""
    with contextlib.ExitStack() as stack:
        try:
            folder = path
            if not path.is_dir():
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="import-", dir=scratch)))
                _spread(path, folder)
            images = _read_layout(folder)
            if not images:
                raise InvalidImage("no image in it")
        except (BadArchive, BadCompression, InvalidImage) as error:
            raise ImportFailure(f"import {path}: {error}") from error
        except OSError as error:
            raise ImportFailure(f"import {path}: {error.strerror}: {error.filename}") from error
        yield images


def pieces(path: Path) -> Generator[bytes, None, None]:
    """The contents of a file."""
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            yield piece


def _read_layout(folder: Path) -> list[ArchivedImage]:
    """An OCI layout goes first: newer ``docker save`` writes both into one archive, and only the layout has digests."""
    if (folder / "oci-layout").exists() and (folder / "index.json").exists():
        names = _docker_names(folder)
        return list(_oci_images(folder, names))
    if (folder / "manifest.json").exists():
        return list(_docker_images(folder))
    raise InvalidImage("neither a docker archive (manifest.json) nor an OCI layout (index.json)")


def _oci_images(folder: Path, docker_names: dict[str, list[str]]) -> Iterator[ArchivedImage]:
    machine = Platform.of_this_machine()
    entries = manifests.parse_index(_document(folder, "index.json"))
    usable = [entry for entry in entries if manifests.may_run(entry, machine)]
    if entries and not usable:
        raise InvalidImage(f"no match for platform in manifest: {machine}")
    for entry in usable:
        digest, data = _chosen(folder, entry)
        manifest = manifests.parse_manifest(data)
        name = entry.annotations.get("io.containerd.image.name") or entry.annotations.get(
            "org.opencontainers.image.ref.name", ""
        )
        names = docker_names.get(manifest.config.digest, []) or ([name] if name else [])
        yield ArchivedImage(
            config=_checked(folder, manifest.config),
            layers=manifest.layers,
            files=tuple(_inside(folder, _blob_name(layer.digest)) for layer in manifest.layers),
            names=tuple(names),
            manifest_digest=digest,
        )


def _chosen(folder: Path, entry: Descriptor) -> tuple[str, bytes]:
    """Follows nested indexes down to the manifest for this machine. Returns the digest of the outermost document."""
    data = _checked(folder, entry)
    digest = entry.digest
    while manifests.is_index(entry.media_type, parse_object(data, "manifest")):
        entry = manifests.choose(manifests.parse_index(data), Platform.of_this_machine())
        data = _checked(folder, entry)
    return digest, data


def _docker_names(folder: Path) -> dict[str, list[str]]:
    """Config digest -> names, out of the manifest.json that may lie beside an OCI layout."""
    if not (folder / "manifest.json").exists():
        return {}
    names: dict[str, list[str]] = {}
    for image in _docker_entries(folder):
        encoded = posixpath.basename(str(image.get("Config", ""))).removesuffix(".json")
        names.setdefault(f"sha256:{encoded}", []).extend(_names(image))
    return names


def _docker_images(folder: Path) -> Iterator[ArchivedImage]:
    for image in _docker_entries(folder):
        paths = image.get("Layers") or []
        if not isinstance(image.get("Config"), str) or not all(isinstance(path, str) for path in paths):
            raise InvalidImage("manifest.json names no configuration or layers")
        files = tuple(_inside(folder, path) for path in paths)
        yield ArchivedImage(
            config=_document(folder, image["Config"]),
            layers=tuple(_described(file) for file in files),
            files=files,
            names=_names(image),
        )


def _docker_entries(folder: Path) -> Sequence[dict[str, Any]]:
    import orjson

    try:
        entries = orjson.loads(_document(folder, "manifest.json"))
    except orjson.JSONDecodeError as error:
        raise InvalidImage(f"manifest.json is not JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidImage("manifest.json is not a list of images")
    return entries


def _names(image: dict[str, Any]) -> tuple[str, ...]:
    tags = image.get("RepoTags") or []
    return tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()


def _described(file: Path) -> Descriptor:
    """A layer of a docker archive has no digest of its own; it is computed."""
    digest = hashlib.sha256()
    for piece in pieces(file):
        digest.update(piece)
    return Descriptor(manifests.OCI_LAYER, f"sha256:{digest.hexdigest()}", file.stat().st_size)


def _checked(folder: Path, descriptor: Descriptor) -> bytes:
    data = _document(folder, _blob_name(descriptor.digest))
    actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if actual != descriptor.digest:
        raise InvalidImage(f"blob {descriptor.digest} has the digest {actual}")
    return data


def _blob_name(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _document(folder: Path, name: str) -> bytes:
    path = _inside(folder, name)
    if path.stat().st_size > _DOCUMENT_LIMIT:
        raise InvalidImage(f"{name} is too large")
    return path.read_bytes()


def _inside(folder: Path, name: str) -> Path:
    """A regular file below ``folder``. Raises InvalidImage for everything else, links to the outside included."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidImage(f"{name!r} points outside of the archive")
    if not path.exists() or not stat.S_ISREG(path.stat().st_mode):
        raise InvalidImage(f"{name!r} is missing")
    return path


def _spread(archive: Path, folder: Path) -> None:
    """Writes the archive's files below ``folder``. Links (old ``docker save`` has them between layers) stay inside."""
    with archive.open("rb") as source:
        stream = TarStream(PieceReader(decompressed(source)))
        room = shutil.disk_usage(folder).free
        for entry in stream:
            room -= entry.size
            if room < 0:
                raise BadArchive(f"{entry.path!r} does not fit on the disk")
            _spread_one(entry, stream, folder)


def _spread_one(entry: TarEntry, stream: TarStream, folder: Path) -> None:
    path = posixpath.normpath(f"/{entry.path}").lstrip("/")
    target = folder / path
    if entry.type == tarstream.DIRECTORY or not path:
        return
    if path.count("/") > _NESTING:
        raise BadArchive(f"{entry.path[:100]!r} is nested too deep for an archive of images")
    if not target.parent.resolve().is_relative_to(folder.resolve()):  # before anything is made there
        raise BadArchive(f"{entry.path!r} points outside of the archive")
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.type == tarstream.REGULAR:
        target.unlink(missing_ok=True)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            for data in stream.chunks():
                file.write(data)
    elif entry.type == tarstream.SYMLINK:
        target.symlink_to(entry.target)
    elif entry.type == tarstream.HARDLINK:
        os.link(_inside(folder, entry.target.lstrip("/")), target)
