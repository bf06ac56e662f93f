"""What every controller is: it says what it watches, maps each change to keys, and reconciles one key at a time.

change --watch's mapper--> keys --queue--> reconcile(key) --raises--> back-off --> again
                                               |--returns seconds--> again after that time
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.client.api import Api, ConnectionFailed
from podkeeper.client.events import EventRecorder
from podkeeper.client.informer import Informer, InformerFactory, Lister
from podkeeper.client.queue_figures import QueueTally
from podkeeper.client.workqueue import WorkQueue
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family

log = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Between tries while no server answers. A growing back-off would leave keys alone for long after it has come back.
WITHOUT_SERVER_SECONDS = 1.0


class Key(NamedTuple):
    """What a controller works on: an object by name; ``namespace`` is empty for cluster-scoped ones."""

    namespace: str
    name: str


#: From a change (what was, what is; None for what was not or is no more) to the keys it concerns.
Mapper = Callable[[T | None, T | None], Iterable[Key]]


class Source(Protocol[T_co]):
    """Where changes come from: an informer, or what speaks for several."""

    def add_handler(self, handler: Callable[[T_co | None, T_co | None], None], /) -> None:
        """See ``Informer.add_handler``."""
        ...

    async def wait_for_sync(self) -> None:
        """See ``Informer.wait_for_sync``."""
        ...


class Watch(Struct, Generic[T], frozen=True):
    """One resource that a controller follows."""

    informer: Source[T]
    mapper: Mapper[T]


class Controller(Protocol):
    """One controller. Its constructor takes a ``Tools`` and asks it for the listers it reads."""

    @property
    def name(self) -> str:
        """As in the name of its service account, and in logs."""
        ...

    @property
    def workers(self) -> int:
        """How many keys may be worked on at once; one key never is by two."""
        ...

    def watches(self) -> Sequence[Watch[Any]]:
        """What it follows. Called once, before anything runs."""
        ...

    async def reconcile(self, key: Key) -> float | None:
        """Brings the world of ``key`` in order. Raises to be called again after a back-off; a returned number is the
        seconds after which to be called again. Never changes what a lister gave."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A controller that has figures of its own."""

    def families(self) -> Sequence[Family]: ...


class Tools(Struct, frozen=True):
    """What controllers work with."""

    api: Api
    informers: InformerFactory
    clock: Clock
    recorder: EventRecorder

    def informer(self, kind: type[T]) -> Informer[T]:
        """The shared informer of a kind."""
        return self.informers.informer(kind)

    def lister(self, kind: type[T]) -> Lister[T]:
        """The shared local copy of a kind."""
        return self.informers.informer(kind).lister


def own_key(old: Any, new: Any) -> Iterable[Key]:
    """The mapper of controllers whose keys are the watched objects themselves."""
    metadata = (new or old).metadata
    return (Key(metadata.namespace, metadata.name),)


def namespace_key(old: Any, new: Any) -> Iterable[Key]:
    """The mapper to the namespace in which an object lives."""
    return (Key("", (new or old).metadata.namespace),)


async def run_controller(controller: Controller, clock: Clock, tally: QueueTally | None = None) -> None:
    """Runs one controller until cancelled; its queue is counted in ``tally``. Its informers are run by whoever made
    them."""
    queue: WorkQueue[Key] = WorkQueue(clock=clock, tally=tally)
    watches = controller.watches()
    for watch in watches:
        watch.informer.add_handler(_feed(queue, watch.mapper))
    for watch in watches:
        await watch.informer.wait_for_sync()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(queue.run(), name=f"{controller.name} queue")
        for number in range(controller.workers):
            tasks.create_task(_work(controller, queue), name=f"{controller.name} worker {number}")


def _feed(queue: WorkQueue[Key], mapper: Mapper[Any]) -> Callable[[Any, Any], None]:
    def handler(old: Any, new: Any) -> None:
        for key in mapper(old, new):
            queue.add(key)

    return handler


async def _work(controller: Controller, queue: WorkQueue[Key]) -> None:
    while True:
        key = await queue.get()
        try:
            again = await controller.reconcile(key)
        except ConnectionFailed as error:
            log.info("%s: %s will be tried again: %s", controller.name, "/".join(filter(None, key)), error)
            queue.add_after(key, WITHOUT_SERVER_SECONDS)
        except ApiError as error:
            level = logging.DEBUG if error.code == 409 else logging.INFO
            log.log(level, "%s: %s will be tried again: %s", controller.name, "/".join(filter(None, key)), error)
            queue.add_rate_limited(key)
        except Exception:
            log.exception("%s: %s failed and will be tried again", controller.name, "/".join(filter(None, key)))
            queue.add_rate_limited(key)
        else:
            queue.forget(key)
            if again is not None:
                queue.add_after(key, again)
        finally:
            queue.done(key)
