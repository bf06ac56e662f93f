"""What /metrics tells of stored objects and of watches, and the count that the work of lists is estimated by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.apiserver.watching import Sent
from podkeeper.foundation.exposition import Family, Sample
from podkeeper.registry.verbs import Registry


def counter(registry: Registry) -> Callable[[RequestInfo], int]:
    """How many objects are stored of the resource that a request is about, none for what is not stored."""

    def count(info: RequestInfo) -> int:
        verbs = registry.verbs(info.group, info.version, info.resource)
        return verbs.count() if verbs is not None else 0

    return count


def families(registry: Registry, sent: Mapping[tuple[str, str, str], Sent]) -> Sequence[Family]:
    """Objects by resource, under the name of today and under the one that dashboards know; events by resource."""

    def counts() -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for group, version, resource in registry.resources():
            verbs = registry.verbs(group, version, resource)
            if verbs is not None:
                found[group, resource] = verbs.count()
        return found

    def objects() -> Iterator[Sample]:
        for (group, resource), count in counts().items():
            yield {"group": group, "resource": resource}, count

    def named() -> Iterator[Sample]:
        for (group, resource), count in counts().items():
            yield {"resource": f"{resource}.{group}" if group else resource}, count

    def events() -> Iterator[Sample]:
        for (group, version, resource), each in sent.items():
            yield {"group": group, "resource": resource, "version": version}, each.events

    def cut_off() -> Iterator[Sample]:
        for (group, _, resource), each in sent.items():
            if each.cut_off:
                yield {"group": group, "resource": resource}, each.cut_off

    return (
        Family("apiserver_resource_objects", "gauge", "Stored objects by resource.", objects),
        Family("apiserver_storage_objects", "gauge", "Stored objects by resource.", named),
        Family("apiserver_watch_events_total", "counter", "Events sent to watches.", events),
        Family("apiserver_terminated_watchers_total", "counter", "Watches that did not keep up.", cut_off),
    )
