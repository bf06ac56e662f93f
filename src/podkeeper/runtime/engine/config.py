"""What the engine is told, and what it asks of the images."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.runtime.cri_images import ImageService
from podkeeper.runtime.images.config import ImageConfig


class EngineConfig(Struct, frozen=True):
    """``root`` is the engine's directory, ``cgroup`` the group that everything of it is below: no other engine's.

    ``oci_runtime`` forces ``crun`` or ``runc``; empty chooses.
    """

    root: Path
    cgroup: str
    oci_runtime: str = ""
    conmon: str = "conmon"
    clock: Clock = field(default_factory=SystemClock)


class Snapshots(Protocol):
    """Root file systems for containers."""

    async def prepare(self, snapshot_id: str, image_id: str) -> Path:
        """A writable root file system over the image, mounted. Raises NotFound and RuntimeFailure."""
        ...

    async def remove(self, snapshot_id: str) -> None:
        """Unmounts and deletes. Succeeds when there is none."""
        ...

    async def usage(self, snapshot_id: str) -> tuple[int, int]:
        """Bytes and inodes that were written into it. Raises NotFound."""
        ...


class Images(ImageService, Protocol):
    """The image store as the engine needs it."""

    @property
    def snapshots(self) -> Snapshots:
        """The root file systems made of the images."""
        ...

    def image_config(self, image_id: str) -> ImageConfig:
        """What a container of the image inherits. Raises NotFound."""
        ...
