"""A real container engine in a throw-away directory, with one image: busybox, taken from this machine.

Needs root, an OCI runtime, conmon and a static busybox (Debian's busybox-static). Nothing is left afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from podkeeper.runtime import pause
from podkeeper.runtime.engine import Engine, EngineConfig, sweep
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig
from podkeeper.runtime.podnetwork import PodNetwork

IMAGE = "docker.io/library/busybox:latest"
_DIRECTORIES = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "var")
_FILES: Mapping[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:100:101:web:/home/web:/bin/sh\n",
    "etc/group": "root:x:0:\nweb:x:101:\nextra:x:200:web\n",
}


@dataclass(frozen=True, slots=True)
class ScratchEngine:
    """An open engine, its images, its own directory and the id of the busybox image."""

    engine: Engine
    images: ImageStore
    directory: Path
    image: str

    @property
    def logs(self) -> str:
        """A directory for logs."""
        return str(self.directory / "logs")


@contextlib.asynccontextmanager
async def scratch_engine(
    directory: Path,
    *,
    network: PodNetwork | None = None,
    oci_runtime: str = "",
    cgroup: str = "",
    conmon: str = "conmon",
) -> AsyncIterator[ScratchEngine]:
    """Opens an engine below ``directory`` and removes everything of it at the end, whatever happened."""
    images = ImageStore(ImageStoreConfig(directory / "images"))
    try:
        await images.import_archive(busybox_archive(directory))
        status = await images.image_status(IMAGE)
        assert status is not None
        config = EngineConfig(
            directory / "engine",
            cgroup=cgroup or f"/podkeeper-scratch-{secrets.token_hex(4)}",
            oci_runtime=oci_runtime,
            conmon=conmon,
        )
        engine = await Engine.open(config, network, images)
        try:
            yield ScratchEngine(engine, images, directory, status.id)
        finally:
            await engine.close()
            await sweep(directory / "engine")
    finally:
        await images.snapshots.sweep()
        await images.close()


def busybox_archive(directory: Path) -> Path:
    """Writes a docker archive of one layer: busybox with all its names, and two users. Returns its path."""
    program = shutil.which("busybox")
    if program is None:
        raise FileNotFoundError("busybox is not installed: apt-get install busybox-static")
    layer = _tar(_entries(Path(program)))
    document = {
        "architecture": pause.architecture(),
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    members = {
        "layer.tar": layer,
        "config.json": json.dumps(document).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    path = directory / "busybox.tar"
    path.write_bytes(_tar((_member(name, len(data)), data) for name, data in members.items()))
    return path


def _entries(program: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name in _DIRECTORIES:
        yield _member(name, 0, tarfile.DIRTYPE), b""
    content = program.read_bytes()
    yield _member("bin/busybox", len(content)), content
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    for applet in listed.split():
        if applet != "busybox":
            link = _member(f"bin/{applet}", 0, tarfile.SYMTYPE)
            link.linkname = "busybox"
            yield link, b""
    for name, text in _FILES.items():
        yield _member(name, len(text)), text.encode()


def _member(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mode = size, kind, 0o755
    return member


def _tar(members: Iterator[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
