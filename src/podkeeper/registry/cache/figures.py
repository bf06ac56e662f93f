"""What /metrics tells of the caches that reads and watches are answered from, with upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from podkeeper.foundation.exposition import Family, Sample
from podkeeper.registry.cache.mirror import Mirror
from podkeeper.registry.cache.resource import ResourceCache


def families(mirror: Mirror) -> Sequence[Family]:
    """apiserver_watch_cache_* and its kin, by resource."""

    def family(name: str, kind: str, text: str, value: Callable[[ResourceCache], int]) -> Family:
        def read() -> Iterator[Sample]:
            for cache in mirror.caches:
                group, _, plural = cache.prefix.strip("/").rpartition("/")
                yield {"group": group, "resource": plural}, value(cache)

        return Family(f"apiserver_{name}", kind, text, read)

    received = "Changes that came from the store."
    return (
        family("init_events_total", "counter", "Objects that were there at the start.", lambda cache: cache.loaded),
        family("storage_events_received_total", "counter", received, lambda cache: cache.received),
        family("watch_cache_events_received_total", "counter", received, lambda cache: cache.received),
        family(
            "watch_cache_events_dispatched_total", "counter", "Changes shown to watches.", lambda cache: cache.received
        ),
        family("watch_cache_resource_version", "gauge", "What reads show.", lambda cache: mirror.revision),
    )
