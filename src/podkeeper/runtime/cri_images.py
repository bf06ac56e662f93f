"""The image half of the Container Runtime Interface: what the kubelet asks of images. The other half is ``cri``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class ImageStatus(Struct, frozen=True):
    """An image of this node. ``id`` is the config digest (sha256:...); tags and digests are full references."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    user: str = ""
    pinned: bool = False
    local: bool = False


class PullCredentials(Struct, frozen=True):
    """What an image pull secret says for one registry. Its repr shows no secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(username={self.username!r})"


class ImageService(Protocol):
    """Images of this node. References are normalised as Docker's: busybox is docker.io/library/busybox:latest."""

    async def image_status(self, reference: str) -> ImageStatus | None:
        """The image of that name, digest or id; None when it is not here. Raises ImagePullFailure(InvalidImageName)."""
        ...

    async def list_images(self) -> Sequence[ImageStatus]:
        """Every image of this node."""
        ...

    async def pull_image(self, reference: str, credentials: PullCredentials | None = None) -> str:
        """Fetches what the registry has under ``reference`` and returns the image id; concurrent pulls of one
        reference share the work. Raises ImagePullFailure; reason RegistryUnavailable within two seconds when no
        registry answers."""
        ...

    async def remove_image(self, reference: str) -> None:
        """Removes the name, and the image with its unshared layers when that was its last one."""
        ...

    async def image_fs_usage(self) -> tuple[int, int]:
        """Bytes and inodes that images and snapshots use."""
        ...
