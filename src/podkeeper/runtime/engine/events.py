"""Events for any number of listeners, each of whom sees everything from the moment it asked, in order."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator

from podkeeper.runtime.cri import RuntimeEvent


class Subscription(AsyncIterator[RuntimeEvent]):
    """One listener's queue. It ends with the hub, or when nobody holds it any more."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[RuntimeEvent | None] = asyncio.Queue()

    def put(self, event: RuntimeEvent | None) -> None:
        """Adds an event; None ends the iteration."""
        self._queue.put_nowait(event)

    async def __anext__(self) -> RuntimeEvent:
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        return event


class EventHub:
    """Where sandboxes and containers announce what has happened to them."""

    def __init__(self) -> None:
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def subscribe(self) -> Subscription:
        """A listener from now on."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        return subscription

    def announce(self, event: RuntimeEvent) -> None:
        """Tells everyone."""
        for subscription in tuple(self._subscriptions):
            subscription.put(event)

    def close(self) -> None:
        """Ends every iteration after what was announced before."""
        for subscription in tuple(self._subscriptions):
            subscription.put(None)
