"""From a manifest to an image of this node: every missing layer is fetched, unpacked and registered, then the image.

Where blobs come from is the caller's affair (a registry, an archive): it passes a function that puts one into the
content store. Layers are fetched and unpacked side by side, and registered from the lowest up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from podkeeper.foundation.clock import Clock
from podkeeper.runtime.images.config import ImageDocument, InvalidImage, chain_ids, digest_of
from podkeeper.runtime.images.content import ContentStore
from podkeeper.runtime.images.index import Index, Layer
from podkeeper.runtime.images.layers import BadLayer, LayerStore
from podkeeper.runtime.images.manifests import Descriptor

Fetch = Callable[[Descriptor], Awaitable[None]]


class Assembler:
    """Puts images together. Callers hold the gate shared."""

    def __init__(self, index: Index, content: ContentStore, layers: LayerStore, clock: Clock) -> None:
        self._index, self._content, self._layers, self._clock = index, content, layers, clock

    async def assemble(self, config: bytes, layers: Sequence[Descriptor], fetch: Fetch) -> str:
        """Registers the image and returns its id. ``fetch`` returns when the blob is in the content store.

        Raises InvalidImage, BadLayer, OSError and whatever ``fetch`` raises.
        """
        document = ImageDocument.from_bytes(config)
        if len(document.diff_ids) != len(layers):
            raise InvalidImage(f"the configuration has {len(document.diff_ids)} layers, but the manifest {len(layers)}")
        image_id = digest_of(config)
        placed = await self._place_all(document.diff_ids, layers, fetch)
        size = len(config) + sum(layer.size for layer in layers)
        self._index.add_image(image_id, config, size, placed, int(self._clock.time()))
        return image_id

    async def _place_all(self, diffs: Sequence[str], blobs: Sequence[Descriptor], fetch: Fetch) -> list[Layer]:
        """One task per layer; each waits for the one below before it registers."""
        chains = chain_ids(tuple(diffs))
        tasks: list[asyncio.Task[Layer]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for position, (chain, diff, blob) in enumerate(zip(chains, diffs, blobs, strict=True)):
                    placing = self._place(chain, diff, blob, fetch, tasks[:position])
                    tasks.append(group.create_task(placing))
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures
        return [task.result() for task in tasks]

    async def _place(
        self, chain: str, diff: str, blob: Descriptor, fetch: Fetch, below: Sequence[asyncio.Task[Layer]]
    ) -> Layer:
        known = self._index.layer(chain)
        if known is not None:
            return known
        await fetch(blob)
        async with contextlib.AsyncExitStack() as stack:
            folder, report = await stack.enter_async_context(
                self._layers.stage(self._content.path(blob.digest), blob.digest)
            )
            if report.diff_id != diff:
                raise BadLayer(f"layer {blob.digest} unpacks to {report.diff_id}, but the image says {diff}")
            parents = [await task for task in below]
            layer = Layer(0, chain, report.size, report.inodes, blob.size)
            return await self._layers.register(folder, layer, parents, report)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
