"""Removes images that nobody uses when the disk fills up: above 85 % used, the longest unused first, down to 80 %.

Images that were built or imported here are kept: no registry could give them back.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/#containers-images
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from podkeeper.kubelet.machine import DiskSpace
from podkeeper.runtime.cri_images import ImageService, ImageStatus
from podkeeper.runtime.failures import RuntimeFailure

log = logging.getLogger(__name__)

HIGH, LOW = 0.85, 0.80
MINIMUM_AGE = 120.0


class ImageCollector:
    """Remembers when each image was last seen in use."""

    def __init__(self, images: ImageService) -> None:
        self._images = images
        self._used: dict[str, float] = {}

    async def collect(self, in_use: Collection[str], disk: DiskSpace, now: float) -> int:
        """Removes images until enough is free; returns the bytes freed. ``in_use`` are image ids."""
        present = await self._images.list_images()
        known = {each.id for each in present}
        self._used = {key: moment for key, moment in self._used.items() if key in known}
        for image in present:
            if image.id in in_use or image.id not in self._used:
                self._used[image.id] = now
        wanted = to_free(disk)
        freed = 0
        for image in victims(present, in_use, self._used, now):
            if freed >= wanted:
                break
            freed += await self._remove(image)
        return freed

    async def _remove(self, image: ImageStatus) -> int:
        try:
            for name in (*image.tags, *image.digests) or (image.id,):
                await self._images.remove_image(name)
        except RuntimeFailure as error:
            log.warning("image %s not removed: %s", image.id, error)
            return 0
        return image.size


def to_free(disk: DiskSpace) -> int:
    """How many bytes must go; 0 below the high mark."""
    used = disk.capacity - disk.available
    if disk.capacity == 0 or used < disk.capacity * HIGH:
        return 0
    return int(used - disk.capacity * LOW)


def victims(
    images: Sequence[ImageStatus], in_use: Collection[str], used: dict[str, float], now: float
) -> list[ImageStatus]:
    """Images that may go, the longest unused first."""
    free = [
        each
        for each in images
        if each.id not in in_use and not each.pinned and not each.local and now - used[each.id] >= MINIMUM_AGE
    ]
    return sorted(free, key=lambda each: used[each.id])
