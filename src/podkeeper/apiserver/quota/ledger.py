"""Who uses how much: live objects, and writes that were let through and cannot be seen yet.

    admitted --reserve--> pending --object is seen--> counted as a live object
                             \\--not seen within PATIENCE: the write failed--> forgotten

Everything between looking at the live objects and reserving happens without waiting, so two writes never share one
place. That holds within one API server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.quota import usage
from podkeeper.apiserver.quota.usage import Amounts, Tree
from podkeeper.foundation.clock import Clock
from podkeeper.registry.verbs import Item, ListOptions

#: Seconds after which a write that was let through and has not been seen is taken to have failed.
PATIENCE = 10.0
#: Objects whose usage is remembered by their revision.
_REMEMBERED = 20_000


class Pending(Struct, frozen=True):
    """A write that was let through."""

    uid: str
    tree: Tree
    until: float


class Ledger:
    """Usage per namespace and resource."""

    def __init__(self, live: LiveObjects, clock: Clock) -> None:
        self._live, self._clock = live, clock
        self._pending: dict[tuple[str, str, str], list[Pending]] = {}
        self._known: dict[tuple[str, int], Amounts] = {}

    async def items(self, row: Resource, namespace: str) -> Sequence[Item]:
        """The live objects of a resource, as of everything acknowledged."""
        verbs = self._live.registry.verbs(row.group, row.version, row.name)
        if verbs is None:
            return ()
        return (await verbs.list(namespace, ListOptions())).items

    def used(self, quota: Tree, row: Resource, namespace: str, items: Sequence[Item]) -> Amounts:
        """What live objects and pending writes use of what ``quota`` covers."""
        group, name = row.group, row.name
        seen = [self._of_item(row, item) for item in items if usage.in_scope(quota, group, name, item.tree())]
        unseen = [
            usage.of_object(group, name, each.tree)
            for each in self._unseen(row, namespace, items)
            if usage.in_scope(quota, group, name, each.tree)
        ]
        return usage.total([*seen, *unseen])

    def reserve(self, row: Resource, namespace: str, tree: Tree) -> None:
        """Counts a new object until it is seen."""
        pending = Pending(str(tree["metadata"].get("uid", "")), tree, self._clock.time() + PATIENCE)
        self._pending.setdefault((row.group, row.name, namespace), []).append(pending)

    def _unseen(self, row: Resource, namespace: str, items: Sequence[Item]) -> Sequence[Pending]:
        key = (row.group, row.name, namespace)
        pending = self._pending.get(key)
        if not pending:
            return ()
        visible, now = {item.tree()["metadata"].get("uid") for item in items}, self._clock.time()
        left = [each for each in pending if each.uid not in visible and each.until > now]
        if left:
            self._pending[key] = left
        else:
            del self._pending[key]
        return left

    def _of_item(self, row: Resource, item: Item) -> Mapping[str, Quantity]:
        if (row.group, row.name) == ("", "pods") and usage.is_overdue(item.tree(), self._clock.time()):
            return usage.PLACE
        key = (f"{row.group}/{row.name}/{item.key}", item.revision)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = usage.of_object(row.group, row.name, item.tree())
        return found


def rows_for(names: Mapping[str, Any], served: Iterable[Resource]) -> list[Resource]:
    """The resources whose objects the limits of a quota concern, custom ones too; of several versions one."""
    found = {
        (row.group, row.name): row
        for row in served
        if row.namespaced
        and row.group != "events.k8s.io"
        and any(usage.limitable(name, row.group, row.name) for name in names)
    }
    return list(found.values())
