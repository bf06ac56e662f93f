"""A store whose requests are counted and timed, by resource, under the names by which upstream's etcd client is known.

It stands between registry and store because that is the one place that all of them pass; what only memory is asked
(``revision``, ``newest``) passes uncounted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Sequence
from time import perf_counter
from typing import Any, TypeVar

from podkeeper.api.resources import RESOURCES
from podkeeper.foundation.exposition import Counters, Family, Histogram, Sample
from podkeeper.registry.keys import prefixes_of
from podkeeper.storage.store import Entry, Page, Record, Store

T = TypeVar("T")

#: Upstream's buckets in seconds (apiserver/pkg/storage/etcd3/metrics).
_SHORT = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
_BOUNDS = (*_SHORT, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
_CORE = frozenset(f"/{row.name}/" for row in RESOURCES if not row.group)


class TimedStore:
    """Implements ``storage.store.Store`` over another."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.newest = inner.newest  # asked with each write: nothing is put in between
        self._times: dict[tuple[str, str], Histogram] = {}
        self._errors = Counters(
            "etcd_request_errors_total", "Requests that the store refused.", "operation", "group", "resource"
        )

    def __repr__(self) -> str:
        return f"<TimedStore over {self._inner!r}>"

    @property
    def revision(self) -> int:
        """See Store."""
        return self._inner.revision

    @property
    def oldest(self) -> int:
        """See Store."""
        return self._inner.oldest

    @property
    def size(self) -> int:
        """See Store."""
        return self._inner.size

    def create(self, key: str, value: bytes) -> Coroutine[Any, Any, int]:
        """See Store."""
        return self._timed("create", key, self._inner.create(key, value))

    def update(self, key: str, value: bytes, expected: int) -> Coroutine[Any, Any, int]:
        """See Store."""
        return self._timed("update", key, self._inner.update(key, value, expected))

    def delete(self, key: str, expected: int) -> Coroutine[Any, Any, int]:
        """See Store."""
        return self._timed("delete", key, self._inner.delete(key, expected))

    def get(self, key: str, revision: int = 0) -> Coroutine[Any, Any, Record | None]:
        """See Store."""
        return self._timed("get", key, self._inner.get(key, revision))

    def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Coroutine[Any, Any, Page]:
        """See Store."""
        asked = self._inner.range(prefix, after=after, limit=limit, revision=revision)
        return self._timed("list", prefix, asked)

    def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Entry]]:
        """See Store."""
        return self._inner.watch(prefix, after)

    async def compact(self, revision: int) -> None:
        """See Store."""
        await self._inner.compact(revision)

    async def close(self) -> None:
        """See Store."""
        await self._inner.close()

    def families(self) -> Sequence[Family]:
        """etcd_request* and the size of what is stored."""
        cluster = {"storage_cluster_id": "etcd-0"}
        return (
            Family("etcd_request_duration_seconds", "histogram", "Seconds that the store took.", self._durations),
            Family("etcd_requests_total", "counter", "Requests to the store.", self._totals),
            self._errors.family(),
            Family(
                "apiserver_storage_size_bytes", "gauge", "Size of the store's file.", lambda: [(cluster, self.size)]
            ),
        )

    async def _timed(self, operation: str, key: str, asked: Awaitable[T]) -> T:
        started = perf_counter()
        try:
            return await asked
        except Exception:
            self._errors[operation, *_resource_of(_prefix(key))] += 1
            raise
        finally:
            took, prefix = perf_counter() - started, _prefix(key)
            histogram = self._times.get((operation, prefix))
            if histogram is None:
                histogram = self._times[operation, prefix] = Histogram(_BOUNDS)
            histogram.observe(took)

    def _durations(self) -> Iterator[tuple[dict[str, str], Histogram]]:
        for (operation, prefix), histogram in sorted(self._times.items()):
            group, resource = _resource_of(prefix)
            yield {"group": group, "operation": operation, "resource": resource}, histogram

    def _totals(self) -> Iterator[Sample]:
        for labels, histogram in self._durations():
            yield labels, sum(histogram.counts)


def _prefix(key: str) -> str:
    """The prefix of a key's resource."""
    first, second = prefixes_of(key)
    return first if first in _CORE else second


def _resource_of(prefix: str) -> tuple[str, str]:
    """Group and plural of a resource's prefix."""
    group, _, plural = prefix.strip("/").rpartition("/")
    return group, plural
