"""Follows a selection of one resource: a full list first, then every change, again from a list when that breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed, ResourceClient, WatchEvent
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock

T = TypeVar("T")


class Reflection(Generic[T]):
    """``on_list`` gets every complete list, ``on_event`` ADDED, MODIFIED and DELETED with their object."""

    def __init__(
        self,
        client: ResourceClient[T],
        clock: Clock,
        on_list: Callable[[Sequence[T]], None],
        on_event: Callable[[str, T], None],
        *,
        field_selector: str = "",
    ) -> None:
        self._client: ResourceClient[T] = client
        self._clock, self._selector = clock, field_selector
        self._on_list, self._on_event = on_list, on_event
        self._version = ""

    async def run(self) -> None:
        """Follows until cancelled. Errors are met with a new try, 0.2 s to 10 s later."""
        backoff = BackOff(0.2, 10.0)
        while True:
            try:
                if not self._version:
                    found = await self._client.list(field_selector=self._selector)
                    self._on_list(found.items)
                    self._version = found.resource_version
                async for event in self._client.watch(resource_version=self._version, field_selector=self._selector):
                    self._take(event)
                    backoff.reset(0)
            except ApiError:
                self._version = ""
                await self._clock.sleep(backoff.next_delay(0))
            except ConnectionFailed:
                await self._clock.sleep(backoff.next_delay(0))

    def _take(self, event: WatchEvent[T]) -> None:
        self._version = event.resource_version or self._version
        if event.object is not None and event.type != "BOOKMARK":
            self._on_event(event.type, event.object)
