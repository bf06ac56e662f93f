"""hostPath: a path of the node, checked against its type.

https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure

_CHECKS: dict[str, tuple[Callable[[Path], bool], str]] = {
    "DirectoryOrCreate": (Path.is_dir, "a directory"),
    "Directory": (Path.is_dir, "a directory"),
    "FileOrCreate": (Path.is_file, "a file"),
    "File": (Path.is_file, "a file"),
    "Socket": (Path.is_socket, "a socket file"),
    "CharDevice": (Path.is_char_device, "a character device"),
    "BlockDevice": (Path.is_block_device, "a block device"),
}


class HostPath:
    """Nothing is made in the pod's directory; the node's path itself is mounted."""

    directory_name = "kubernetes.io~host-path"

    def claims(self, volume: v1.Volume) -> bool:
        """A hostPath source."""
        return volume.host_path is not None

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Checks the type; without one a missing directory is made, as container runtimes do."""
        assert volume.host_path is not None
        path = Path(volume.host_path.path)
        await asyncio.to_thread(_prepare, path, volume.host_path.type or "")  # may be a file system that hangs
        return path


def _prepare(path: Path, kind: str) -> None:
    if not path.exists():
        if kind in ("", "DirectoryOrCreate"):
            path.mkdir(parents=True, mode=0o755)
        elif kind == "FileOrCreate":
            path.touch(mode=0o644)
    if kind:
        check, noun = _CHECKS[kind]
        if not check(path):
            raise VolumeFailure(f"hostPath type check failed: {path} is not {noun}")
