"""From a change to a root file system to an image with one more layer, remembered under a key for the next build."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.images.config import HistoryEntry, ImageDocument, chain_ids, digest_of
from podkeeper.runtime.images.index import Layer
from podkeeper.runtime.images.manifests import Platform
from podkeeper.runtime.images.pack import PackReport
from podkeeper.runtime.images.service import ImageStore
from podkeeper.runtime.images.snapshots import TEMPORARY
from podkeeper.runtime.images.workers import worker

Change = Callable[[Path], Awaitable[None]]
_SCRATCH_KEY = "scratch"


class StepImage(Struct, frozen=True):
    """The outcome of a step: an image without a configuration of its own. ``changed`` is whether it has a new layer."""

    image_id: str
    created: str
    changed: bool


class Snapshotter:
    """Applies changes on top of images. ``youngest`` (seconds since the epoch) makes layers reproducible."""

    def __init__(self, store: ImageStore, *, cache: bool, youngest: int | None) -> None:
        self._store, self._cache, self._youngest = store, cache, youngest

    def scratch(self) -> str:
        """The image without layers."""
        platform = Platform.of_this_machine()
        data = ImageDocument(architecture=platform.architecture, os=platform.os, variant=platform.variant).to_bytes()
        image_id = digest_of(data)
        self._store.index.add_image(image_id, data, len(data), (), int(self._store.clock.time()))
        self._store.index.add_step(_SCRATCH_KEY, image_id)
        return image_id

    def cached(self, key: str) -> StepImage | None:
        """What the step of that key made; None when it must be done."""
        image_id = self._store.index.step(key) if self._cache else ""
        if not image_id:
            return None
        last = self._store.document(image_id).history[-1:]
        return StepImage(image_id, last[0].created if last else "", bool(last) and last[0].comment == key)

    async def apply(self, parent: str, key: str, change: Change) -> StepImage:
        """Makes ``change`` in a root file system over ``parent`` and keeps the difference as a layer.

        A change that changes nothing makes no layer. Raises what ``change`` raises.
        """
        snapshot_id = f"{TEMPORARY}{uuid.uuid4().hex}"
        snapshots = self._store.snapshots
        rootfs = await snapshots.prepare(snapshot_id, parent)
        try:
            await change(rootfs)
            await snapshots.unmount(snapshot_id)
            upper = snapshots.upper(snapshot_id)
            report = await self._pack(upper)
            created = _timestamp(self._store.clock.time() if self._youngest is None else self._youngest)
            if report.inodes == 0:
                self._store.index.add_step(key, parent)
                return StepImage(parent, created, changed=False)
            return self._commit(parent, key, upper, report, created)
        finally:
            await snapshots.remove(snapshot_id)

    @asynccontextmanager
    async def view(self, image_id: str) -> AsyncIterator[Path]:
        """The root file system of an image, read-only."""
        snapshot_id = f"{TEMPORARY}{uuid.uuid4().hex}"
        path = await self._store.snapshots.view(snapshot_id, image_id)
        try:
            yield path
        finally:
            await self._store.snapshots.remove(snapshot_id)

    def _commit(self, parent: str, key: str, upper: Path, report: PackReport, created: str) -> StepImage:
        """Makes the upper directory a layer, and an image of it; the last history entry names the key."""
        index = self._store.index
        below = self._store.document(parent)
        diffs = (*below.diff_ids, report.diff_id)
        layer = Layer(0, chain_ids(diffs)[-1], report.size, report.inodes, report.archive_size)
        layers = [*index.layers_of(parent), self._store.layers.adopt(upper, layer)]
        platform = Platform.of_this_machine()
        document = ImageDocument(
            diff_ids=diffs,
            history=(*(HistoryEntry() for _ in below.diff_ids), HistoryEntry(created=created, comment=key)),
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
        )
        data = document.to_bytes()
        image_id = digest_of(data)
        index.add_image(image_id, data, sum(item.blob_size for item in layers), layers, int(self._store.clock.time()))
        index.add_step(key, image_id)
        return StepImage(image_id, created, changed=True)

    async def _pack(self, upper: Path) -> PackReport:
        arguments = [str(upper)] + ([str(self._youngest)] if self._youngest is not None else [])
        async with worker("podkeeper.runtime.images.pack", arguments) as process:
            output, complaint = await process.communicate()
            if process.returncode:
                raise BuildFailure(f"a layer could not be read: {complaint.decode()[-500:]}")
        return PackReport(**json.loads(output))


def step_key(parent: str, *parts: Any) -> str:
    """What a step depends on: the image below and everything that ``parts`` (plain data) say."""
    text = json.dumps([parent, *parts], sort_keys=True, ensure_ascii=False)
    return f"step:{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()}"


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
