"""The images of one node: the ImageService of the CRI over index, content, layers, snapshots and registries."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.foundation.trees import remove_tree
from podkeeper.runtime.cri_images import ImageStatus, PullCredentials
from podkeeper.runtime.failures import NotFound, RuntimeFailure
from podkeeper.runtime.images import archives, collection
from podkeeper.runtime.images.archives import ArchivedImage, ImportFailure
from podkeeper.runtime.images.assembly import Assembler
from podkeeper.runtime.images.collection import Candidate, Thresholds
from podkeeper.runtime.images.config import ImageConfig, ImageDocument, InvalidImage, digest_of
from podkeeper.runtime.images.content import ContentStore
from podkeeper.runtime.images.gate import Gate
from podkeeper.runtime.images.index import ImageRecord, Index, InUse
from podkeeper.runtime.images.layers import LayerStore
from podkeeper.runtime.images.manifests import Descriptor
from podkeeper.runtime.images.pulling import Progress, Puller, Report
from podkeeper.runtime.images.reference import Reference, parse_image_id
from podkeeper.runtime.images.reference import parse as parse_reference
from podkeeper.runtime.images.registry import RegistryConfig
from podkeeper.runtime.images.snapshots import Snapshots
from podkeeper.runtime.images.threads import run_to_end

_SYSTEM_CLOCK = SystemClock()
_THRESHOLDS = Thresholds()
_DOCUMENTS = 64  # parsed configurations to keep; their names are their digests, so they never change


def _ignore(progress: Progress) -> None:
    """Nobody watches."""


class ImageStoreConfig(Struct, frozen=True):
    """``root`` is the directory of everything. ``insecure_registries`` are hosts (``host[:port]``) spoken to in plain
    HTTP or without checking their certificate; ``registry_hosts`` has a directory per host, see endpoints.py."""

    root: Path
    insecure_registries: Sequence[str] = ()
    registry_hosts: Path | None = Path("/etc/podkeeper/certs.d")


class ImageStore:
    """Images, and the root file systems made of them (``snapshots``). Open it in a running event loop.

    Any number of processes may have one directory open: what one adds, the others see at their next call.
    """

    def __init__(self, config: ImageStoreConfig, clock: Clock = _SYSTEM_CLOCK) -> None:
        config.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = config.root.resolve()  # as the kernel shows it in the mount table
        self._root, self._imports = root, root / "imports"
        self._imports.mkdir(mode=0o700, exist_ok=True)
        self._gate = Gate(root / "gate")
        self._documents: dict[str, ImageDocument] = {}
        self.index = Index(root / "index.db")
        self.content = ContentStore(root / "content")
        self.layers = LayerStore(root / "layers", self.index)
        self.clock = clock
        self.snapshots = Snapshots(root, self.index, clock)
        self._assembler = Assembler(self.index, self.content, self.layers, clock)
        registries = RegistryConfig(config.insecure_registries, config.registry_hosts)
        self._puller = Puller(registries, self.content, self._assembler, self._known, clock)

    async def close(self) -> None:
        """Lets go of files and threads; snapshots stay mounted."""
        self.snapshots.close()
        self.index.close()

    # What is here.

    async def image_status(self, reference: str) -> ImageStatus | None:
        """The image of that name, digest or id; None when it is not here. Raises ImagePullFailure(InvalidImageName)."""
        image_id, name = self._find(reference)
        record = self.index.image(image_id) if image_id else None
        return self._status(record, name) if record else None

    async def list_images(self) -> Sequence[ImageStatus]:
        """Every image, those excepted that a build keeps for its next run."""
        return [self._status(record) for record in self.index.images() if not record.step]

    def image_config(self, image_id: str) -> ImageConfig:
        """What a container of the image inherits. Raises NotFound."""
        return self.document(image_id).config

    def document(self, image_id: str) -> ImageDocument:
        """The whole configuration of an image. Raises NotFound."""
        if image_id not in self._documents:
            data = self.index.config(image_id)
            if data is None:
                raise NotFound(f"image {image_id} is not here")
            if len(self._documents) >= _DOCUMENTS:
                self._documents.clear()
            self._documents[image_id] = ImageDocument.from_bytes(data)
        return self._documents[image_id]

    # Bringing images in.

    @contextlib.asynccontextmanager
    async def bringing_in(self) -> AsyncIterator[list[str]]:
        """Nothing is cleaned up while this lasts; at its end the blobs that were put into the list are dropped."""
        blobs: list[str] = []
        try:
            async with self._gate.shared():
                yield blobs
        except BaseException:
            with contextlib.suppress(RuntimeFailure, OSError):  # what went wrong before is what matters
                await self.tidy(blobs)
            raise
        await self.tidy(blobs)

    def add_built(self, document: ImageDocument, layers_of: str, names: Sequence[Reference]) -> str:
        """Registers an image that has the layers of another one and a configuration of its own. Returns its id."""
        data = replace(document, diff_ids=self.document(layers_of).diff_ids).to_bytes()
        layers = self.index.layers_of(layers_of)
        image_id = digest_of(data)
        size = len(data) + sum(layer.blob_size for layer in layers)
        self.index.add_image(image_id, data, size, layers, int(self.clock.time()))
        self._name(image_id, names, "")
        return image_id

    async def pull_image(
        self, reference: str, credentials: PullCredentials | None = None, report: Report = _ignore
    ) -> str:
        """Fetches what the registry has under ``reference`` and returns the image id; concurrent pulls of one
        reference share the work. ``report`` hears of progress.

        Raises ImagePullFailure; reason RegistryUnavailable within two seconds when no registry answers.
        """
        name = parse_reference(reference)
        async with self.bringing_in() as blobs:
            pulled = await self._puller.pull(name, credentials, report)
            self.index.set_name(name.canonical, pulled.image_id, local=False)
            self.index.set_name(name.pinned_to(pulled.digest).canonical, pulled.image_id, local=False)
            blobs += pulled.blobs
        return pulled.image_id

    def _known(self, name: Reference) -> str:
        found = self.index.resolve(name.canonical)
        return found[0] if found else ""

    async def import_archive(self, path: Path, name: str = "") -> list[ImageStatus]:
        """Imports every image of a docker archive or OCI layout (file or directory), under the names it has there.

        ``name`` is used for an image that has none. Raises ImportFailure, InvalidReference.
        """
        imported = []
        async with self.bringing_in() as blobs:
            images = archives.opened(path, self._imports)
            try:
                for image in await run_to_end(images.__enter__):
                    blobs += [layer.digest for layer in image.layers]
                    imported.append(await self._import(path, image, name))
            finally:
                await run_to_end(images.__exit__, None, None, None)
        return imported

    async def _import(self, path: Path, image: ArchivedImage, name: str) -> ImageStatus:
        names = [parse_reference(text) for text in image.names or ([name] if name else [])]
        files = {layer.digest: file for layer, file in zip(image.layers, image.files, strict=True)}

        async def fetch(blob: Descriptor) -> None:
            with contextlib.closing(archives.pieces(files[blob.digest])) as pieces:
                await self.content.put(blob.digest, pieces, blob.size)

        try:
            image_id = await self._assembler.assemble(image.config, image.layers, fetch)
        except (InvalidImage, RuntimeFailure, OSError) as error:
            raise ImportFailure(f"import {path}: {error}") from error
        self._name(image_id, names, image.manifest_digest)
        record = self.index.image(image_id)
        assert record is not None
        return self._status(record)

    def _name(self, image_id: str, names: Sequence[Reference], manifest_digest: str) -> None:
        for name in names:
            self.index.set_name(name.canonical, image_id, local=True)
            if manifest_digest and not name.digest:
                self.index.set_name(name.pinned_to(manifest_digest).canonical, image_id, local=True)

    # Removing.

    async def remove_image(self, reference: str) -> None:
        """Removes the name, and the image with its unshared layers when that was its last one; an id removes all.

        Succeeds when it is not here. Raises RuntimeFailure when a container uses the image.
        """
        image_id, name = self._find(reference)
        record = self.index.image(image_id) if image_id else None
        if record is None:
            return
        if name and any(other != name and "@" not in other for other in record.names):
            self.index.remove_name(name)
            return
        layers = self.index.image_layers().get(image_id, frozenset())
        try:
            self.index.remove_image(image_id)
        except InUse:
            raise RuntimeFailure(f"remove image {reference}: a container uses it") from None
        await self.tidy(removed=layers)

    async def collect(self, thresholds: Thresholds = _THRESHOLDS) -> list[str]:
        """Removes unused images, longest unused first, when the file system is fuller than it should be.

        Returns the ids of what was removed.
        """
        disk = os.statvfs(self._root)
        wanted = thresholds.to_free(disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize)
        removed = await asyncio.to_thread(self._collect, wanted, thresholds) if wanted else []
        await self.tidy(pressed=bool(wanted))
        return removed

    def _collect(self, wanted: int, thresholds: Thresholds) -> list[str]:
        removed = []
        oldest = int(self.clock.time()) - thresholds.min_age
        for image_id in collection.plan(self._candidates(), self.index.layer_sizes(), wanted, oldest):
            with contextlib.suppress(InUse):  # a container was made of it just now
                self.index.remove_image(image_id)
                removed.append(image_id)
        return removed

    def _candidates(self) -> list[Candidate]:
        layers = self.index.image_layers()
        return [
            Candidate(
                id=record.id,
                used_at=record.used_at,
                layers=layers.get(record.id, frozenset()),
                step=record.step,
                kept=record.in_use or record.pinned,
            )
            for record in self.index.images()
        ]

    async def image_fs_usage(self) -> tuple[int, int]:
        """Bytes and inodes that images and snapshots use."""
        size, inodes = self.index.layer_totals()
        snapshot_size, snapshot_inodes = await self.snapshots.total_usage()
        return size + snapshot_size, inodes + snapshot_inodes

    async def tidy(
        self, blobs: Sequence[str] = (), removed: frozenset[int] = frozenset(), *, pressed: bool = False
    ) -> None:
        """Removes what nobody needs: given blobs, layers without an image, and what killed processes have left.

        Does nothing while images are being brought in: whoever does so tidies up at the end. ``removed`` are the
        layers of an image that has just been removed. ``pressed`` gives up interrupted downloads too.
        """
        await asyncio.to_thread(self.index.make_durable)
        with self._gate.alone_nowait() as alone:
            if alone:
                await self.snapshots.remove_temporary()
                await asyncio.to_thread(self._drop_unused, blobs, removed, pressed)

    def _drop_unused(self, blobs: Sequence[str], removed: frozenset[int], pressed: bool) -> None:
        candidates = self._candidates()
        now = int(self.clock.time())
        for step in (*collection.steps_of(removed, candidates), *collection.expired_steps(candidates, now)):
            with contextlib.suppress(InUse):
                self.index.remove_image(step.id)
        self.content.drop(blobs, math.inf if pressed else now)
        for folder in self._imports.iterdir():
            remove_tree(folder)
        self.index.remove_unused_layers()
        self.layers.sweep()

    def _find(self, text: str) -> tuple[str, str]:
        """Image id ('' when not here) and the canonical name that ``text`` means ('' for an id)."""
        image_id = parse_image_id(text)
        if image_id:
            return image_id, ""
        name = parse_reference(text).canonical
        found = self.index.resolve(name)
        return (found[0] if found else "", name)

    def _status(self, record: ImageRecord, name: str = "") -> ImageStatus:
        return ImageStatus(
            id=record.id,
            tags=tuple(other for other in record.names if "@" not in other),
            digests=tuple(other for other in record.names if "@" in other),
            size=record.size,
            user=self.image_config(record.id).user,
            pinned=record.pinned,
            local=name in record.local_names if name else bool(record.local_names),
        )
