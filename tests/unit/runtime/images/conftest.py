"""Images made by hand: layers of chosen entries, docker archives of chosen layers, and a store to put them."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from podkeeper.foundation import mounts
from podkeeper.runtime.images.manifests import Platform
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig


@dataclass(frozen=True)
class Entry:
    """One member of a layer. ``data`` is the content of a file; ``link`` the target of a link."""

    name: str
    kind: bytes = tarfile.REGTYPE
    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    owner: tuple[int, int] = (0, 0)
    device: tuple[int, int] = (0, 0)
    pax: dict[str, str] = field(default_factory=dict)
    mtime: int = 1_000_000_000


class Handmade:
    """Makers of layers and archives."""

    Entry = Entry

    @staticmethod
    def layer(entries: Sequence[Entry]) -> bytes:
        """A tar archive of the entries, in their order."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in entries:
                member = tarfile.TarInfo(entry.name)
                member.type, member.mode, member.linkname = entry.kind, entry.mode, entry.link
                member.uid, member.gid = entry.owner
                member.devmajor, member.devminor = entry.device
                member.size, member.mtime, member.pax_headers = len(entry.data), entry.mtime, dict(entry.pax)
                archive.addfile(member, io.BytesIO(entry.data))
        return buffer.getvalue()

    @staticmethod
    def digest(data: bytes) -> str:
        """``sha256:...``."""
        return f"sha256:{sha256(data).hexdigest()}"

    @staticmethod
    def image_config(layers: Sequence[bytes], **config: object) -> bytes:
        """An image configuration for uncompressed layers."""
        diffs = [Handmade.digest(data) for data in layers]
        tree = {
            "architecture": Platform.of_this_machine().architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diffs},
        }
        return json.dumps(tree).encode()

    @staticmethod
    def docker_archive(path: Path, layers: Sequence[bytes], tags: Sequence[str], **config: object) -> Path:
        """Writes what ``docker save`` of old writes."""
        names = [f"{number}/layer.tar" for number in range(len(layers))]
        manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
        files = dict(zip(names, layers, strict=True))
        files["config.json"] = Handmade.image_config(layers, **config)
        files["manifest.json"] = json.dumps(manifest).encode()
        with tarfile.open(path, "w") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path


@pytest.fixture
def handmade() -> type[Handmade]:
    """Makers of layers and archives."""
    return Handmade


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ImageStore]:
    """An empty image store. Whatever is mounted at the end is unmounted; that nothing is, is each test's own affair."""
    if os.geteuid() != 0:
        pytest.skip("unpacking layers and mounting them needs root")
    opened = ImageStore(ImageStoreConfig(tmp_path / "images"))
    try:
        yield opened
    finally:
        await opened.snapshots.sweep()
        await opened.close()
        mounts.unmount_below(tmp_path)
