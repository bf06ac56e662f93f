"""Keeps a local copy of one resource: list, then watch from the list's version, for ever.

```
        ┌────────── 410: the version is gone ──────────┐
        ▼                                              │
     listing ──► watching from the last version ──► ended (timeout, connection lost: again from the last version,
        ▲ error: back-off                              │                              after a back-off if it failed)
        └──────────────────────────────────────────────┘
```
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar, cast

from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed, ObjectList, ResourceClient, WatchEvent
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock

T = TypeVar("T")
log = logging.getLogger(__name__)

BASE_DELAY, LONGEST_DELAY = 0.1, 30.0  # seconds
LONGEST_RECONNECT = 3.0  # a server that is not there costs little to ask, and is sorely missed when it comes back
WATCH_SECONDS = 300.0  # at least this long and at most twice, spread so that not all watches end at once
SHORT_WATCH = 1.0  # a watch that ends sooner, and empty, counts as failed: no server is asked without a pause
PAGE = 500


class Sink(Protocol[T]):
    """Where the copy is kept. Both are called on the event loop, in order."""

    def replace(self, objects: Sequence[T], version: str) -> None:
        """These are all objects there are."""
        ...

    def apply(self, event: WatchEvent[T]) -> None:
        """One ADDED, MODIFIED or DELETED."""
        ...


class Selection(Struct, frozen=True):
    """Which objects to follow."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


class Reflector(Generic[T]):
    """Follows one resource into a sink. ``spread`` gives a number in [0, 1) for the length of a watch."""

    def __init__(
        self,
        client: ResourceClient[T],
        sink: Sink[T],
        clock: Clock,
        selection: Selection | None = None,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._client: ResourceClient[T] = client
        self._sink, self._clock, self._spread = sink, clock, spread
        self._selection = selection or Selection()
        self._backoff = BackOff(BASE_DELAY, LONGEST_DELAY)
        self._version = ""
        self._gone = False

    def __repr__(self) -> str:
        return f"<Reflector of {self._client!r} at version {self._version or 'none'}>"

    @property
    def version(self) -> str:
        """The resourceVersion up to which the sink is current; empty before the first list."""
        return self._version

    async def run(self) -> None:
        """Lists and watches until cancelled."""
        while True:
            try:
                await self._list()
                while not self._gone:
                    await self._watch_once()
            except (ApiError, ConnectionFailed) as error:
                await self._pause("listing", error)

    async def _list(self) -> None:
        # Any version will do at first; a server whose history is gone is asked for the newest.
        listed = await (self._list_newest() if self._gone else self._page("", 0, "0"))
        self._gone = False
        self._sink.replace(listed.items, listed.resource_version)
        self._version = listed.resource_version
        self._backoff.reset(self)

    async def _list_newest(self) -> ObjectList[T]:
        """Every page of one version; one large answer when that version expires between two pages."""
        page = await self._page("", PAGE, None)
        items, version = list(page.items), page.resource_version
        while page.continuation:
            try:
                page = await self._page(page.continuation, PAGE, None)
            except ApiError as error:
                if error.code != 410:
                    raise
                return await self._page("", 0, None)
            items.extend(page.items)
        return ObjectList(items, version)

    async def _page(self, continuation: str, limit: int, version: str | None) -> ObjectList[T]:
        return await self._client.list(
            self._selection.namespace,
            label_selector=self._selection.label_selector,
            field_selector=self._selection.field_selector,
            limit=limit,
            continuation=continuation,
            resource_version=version,
        )

    async def _watch_once(self) -> None:
        """One watch, to its end. Returns for the next one, with ``_gone`` set when a list must come first."""
        began, before = self._clock.monotonic(), self._version
        try:
            await self._follow()
        except ApiError as error:
            if error.code == 410:
                log.info("%r: history is gone, listing again: %s", self, error)
                self._gone = True
            else:
                await self._pause("watching", error)
            return
        except ConnectionFailed as error:
            await self._pause("watching", error)
            return
        if self._clock.monotonic() - began >= SHORT_WATCH:
            self._backoff.reset(self)
        elif self._version == before:
            await self._pause("watching", ConnectionFailed("the watch ended at once without any event"))

    async def _follow(self) -> None:
        events = self._client.watch(
            self._selection.namespace,
            resource_version=self._version,
            label_selector=self._selection.label_selector,
            field_selector=self._selection.field_selector,
            timeout=WATCH_SECONDS * (1 + self._spread()),
        )
        # Every implementation is an async generator, which holds a connection until it is closed.
        async with aclosing(cast(Any, events)):
            async for event in events:
                if event.object is not None:
                    self._sink.apply(event)
                self._version = event.resource_version or self._version
                self._backoff.reset(self)

    async def _pause(self, doing: str, error: Exception) -> None:
        delay = self._backoff.next_delay(self)
        delay = max(delay, error.retry_after) if isinstance(error, ApiError) else min(delay, LONGEST_RECONNECT)
        log.warning("%s %r failed, again in %.1f s: %s", doing, self._client, delay, error)
        await self._clock.sleep(delay)
