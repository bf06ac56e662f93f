"""Pulls: from a reference to an image of this node. One reference is pulled once however many ask for it.

A registry that could not be reached is not asked again for a while: a node without a route would otherwise make
every container with the pull policy Always wait for the same time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from msgspec import Struct

from podkeeper.foundation.clock import Clock
from podkeeper.runtime.cri_images import PullCredentials
from podkeeper.runtime.failures import ImagePullFailure, RuntimeFailure
from podkeeper.runtime.images import manifests
from podkeeper.runtime.images.assembly import Assembler
from podkeeper.runtime.images.config import ImageDocument, InvalidImage, parse_object
from podkeeper.runtime.images.content import ContentStore
from podkeeper.runtime.images.manifests import Descriptor, Platform
from podkeeper.runtime.images.reference import Reference
from podkeeper.runtime.images.registry import (
    UNAVAILABLE,
    BrokenTransfer,
    Document,
    Refused,
    RegistryConfig,
    Repository,
    open_repository,
)

_UNAVAILABLE_FOR = 10.0  # seconds
_PARALLEL_LAYERS = 3
_NESTED_INDEXES = 8


class Progress(Struct, frozen=True):
    """How far one layer has come: bytes that are there, of how many."""

    digest: str
    done: int
    total: int


class Pulled(Struct, frozen=True):
    """The outcome. ``digest`` is what the registry has under the name; ``blobs`` are no longer needed."""

    image_id: str
    digest: str
    blobs: tuple[str, ...] = ()


Report = Callable[[Progress], None]
Known = Callable[[Reference], str]
"""The image id that this node has under ``repository@digest``; empty when it has none."""


class _Shared(Struct):
    task: asyncio.Task[Pulled]
    waiting: int = 0


class Puller:
    """Pulls into the content store and assembles. Callers hold the gate shared."""

    def __init__(
        self, config: RegistryConfig, content: ContentStore, assembler: Assembler, known: Known, clock: Clock
    ) -> None:
        self._config, self._content, self._assembler = config, content, assembler
        self._known, self._clock = known, clock
        self._running: dict[tuple[Reference, PullCredentials | None], _Shared] = {}
        self._unavailable: dict[str, tuple[float, str]] = {}

    async def pull(self, name: Reference, credentials: PullCredentials | None, report: Report) -> Pulled:
        """Joins a running pull of the same name, else starts one. The pull ends when nobody waits for it any more.

        ``report`` is heard from the pull's starter alone. Raises ImagePullFailure.
        """
        key = (name, credentials)
        shared = self._running.get(key)
        if shared is None:
            shared = self._running[key] = _Shared(asyncio.create_task(self._pull(name, credentials, report)))
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                if self._running.get(key) is shared:
                    del self._running[key]
                shared.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ImagePullFailure):
                    await shared.task

    async def _pull(self, name: Reference, credentials: PullCredentials | None, report: Report) -> Pulled:
        self._check_available(name)
        try:
            async with open_repository(name, self._config, credentials, self._clock) as repository:
                document = await self._resolve(repository, name)
                return await self._fetch(repository, name, document, report)
        except ImagePullFailure as error:
            if error.reason == UNAVAILABLE:
                self._unavailable[name.domain] = (self._clock.monotonic() + _UNAVAILABLE_FOR, str(error))
                raise _failure(name, f'failed to resolve reference "{name}": {error}', UNAVAILABLE) from error
            raise _failure(name, str(error)) from error
        except (InvalidImage, RuntimeFailure, Refused, BrokenTransfer, OSError) as error:
            raise _failure(name, str(error)) from error

    def _check_available(self, name: Reference) -> None:
        until, why = self._unavailable.get(name.domain, (0.0, ""))
        if self._clock.monotonic() < until:
            raise _failure(name, f'failed to resolve reference "{name}": {why}', UNAVAILABLE)
        self._unavailable.pop(name.domain, None)

    async def _resolve(self, repository: Repository, name: Reference) -> Document:
        try:
            return await repository.manifest(name.selector)
        except Refused as error:
            if error.status == 404:
                raise ImagePullFailure(f'failed to resolve reference "{name}": {name}: not found') from error
            if error.status in (401, 403):
                denied = "pull access denied, repository does not exist or may require authorization"
                server = f": server message: {error.detail}" if error.detail else ""
                raise ImagePullFailure(f'failed to resolve reference "{name}": {denied}{server}') from error
            raise ImagePullFailure(f'failed to resolve reference "{name}": {error}') from error

    async def _fetch(self, repository: Repository, name: Reference, document: Document, report: Report) -> Pulled:
        digest = document.digest
        if known := self._known(name.pinned_to(digest)):
            return Pulled(known, digest)
        if document.media_type in manifests.DOCKER_SCHEMA1:
            raise InvalidImage(f"media type {document.media_type} is no longer supported")
        document = await self._descend(repository, document)
        manifest = manifests.parse_manifest(document.data)
        config = await repository.document(manifest.config)
        manifests.check_platform(ImageDocument.from_bytes(config), Platform.of_this_machine())
        slots = asyncio.Semaphore(_PARALLEL_LAYERS)

        async def fetch(blob: Descriptor) -> None:
            async with slots:
                await repository.download(
                    blob, self._content, lambda done: report(Progress(blob.digest, done, blob.size))
                )

        image_id = await self._assembler.assemble(config, manifest.layers, fetch)
        return Pulled(image_id, digest, tuple(layer.digest for layer in manifest.layers))

    async def _descend(self, repository: Repository, document: Document) -> Document:
        """Follows indexes down to the manifest for this machine."""
        for _ in range(_NESTED_INDEXES):
            if not manifests.is_index(document.media_type, parse_object(document.data, "manifest")):
                return document
            entry = manifests.choose(manifests.parse_index(document.data), Platform.of_this_machine())
            document = await repository.manifest(entry.digest)
        raise InvalidImage(f"more than {_NESTED_INDEXES} indexes list one another")


def _failure(name: Reference, why: str, reason: str = "ErrImagePull") -> ImagePullFailure:
    return ImagePullFailure(f'failed to pull and unpack image "{name}": {why}', reason=reason)
