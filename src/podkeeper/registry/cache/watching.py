"""Watches of one resource: who gets which change, in which form.

Watches with the same selection and served version form a group; a change is judged once per group and rendered once for
all. Groups that demand one name or one node are found by it, so that a thousand kubelets do not cost a thousand looks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.cache.window import ADDED, DELETED, MODIFIED, CacheEvent
from podkeeper.registry.item import StoredItem
from podkeeper.registry.verbs import Item, Sink, WatchEvent

logger = logging.getLogger(__name__)

#: Fields by whose value watches and lists are looked up instead of filtered.
INDEXED_FIELDS = ("spec.nodeName", "involvedObject.uid", "involvedObject.name")
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_Trigger = tuple[str, str] | None


class View(Protocol):
    """A served version of a stored resource."""

    @property
    def api_version(self) -> str: ...

    @property
    def kind(self) -> str: ...

    def item(self, stored: StoredItem) -> Item:
        """The object in this version; the same object for the same item as long as it is held."""
        ...


class RenderedEvent:
    """Implements ``verbs.WatchEvent``; frames are made when first asked for. ``previous`` is the object before, where
    no selection has judged of it."""

    __slots__ = ("_frame", "_protobuf", "item", "previous", "type")

    def __init__(self, type_: str, item: Item, previous: StoredItem | None = None) -> None:
        self.type, self.item, self.previous = type_, item, previous
        self._frame: bytes | None = None
        self._protobuf: bytes | None = None

    def __repr__(self) -> str:
        return f"<RenderedEvent {self.type} {self.item!r}>"

    @property
    def frame(self) -> bytes:
        """One line of a watch's body."""
        if self._frame is None:
            self._frame = b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.item.json)
        return self._frame

    @property
    def protobuf(self) -> bytes:
        """One frame of a watch's body in protobuf."""
        if self._protobuf is None:
            from podkeeper.api import protobuf  # not every client wants it

            self._protobuf = protobuf.frame(self.type, protobuf.wrap(*self.item.type, self.item.message))
        return self._protobuf


class Bookmark:
    """A BOOKMARK event: only the revision up to which everything has been sent."""

    __slots__ = ("_object", "frame", "item", "revision", "type")

    def __init__(self, view: View, revision: int, initial_events_end: bool = False) -> None:
        self.type, self.item, self.revision = "BOOKMARK", None, revision
        annotations = f',"annotations":{{"{INITIAL_EVENTS_END}":"true"}}' if initial_events_end else ""
        body = f'"kind":"{view.kind}","apiVersion":"{view.api_version}","metadata":'
        body += f'{{"resourceVersion":"{revision}"{annotations}}}'
        self.frame = f'{{"type":"BOOKMARK","object":{{{body}}}}}\n'.encode()
        self._object = f"{{{body}}}".encode()

    @property
    def protobuf(self) -> bytes:
        """One frame of a watch's body in protobuf."""
        from podkeeper.api import protobuf  # not every client wants it

        return protobuf.frame(self.type, protobuf.encode(self._object))


_Memo = dict[tuple[int, bool], RenderedEvent]


class _Group:
    """Watches that see the same events."""

    def __init__(self, view: View, selection: Selection) -> None:
        self.view, self.selection = view, selection
        self.watches: list[RunningWatch] = []

    def judge(self, event: CacheEvent, memo: _Memo) -> RenderedEvent | None:
        """What the group's watches see of a change; None if nothing."""
        if self.selection.namespace and event.item.namespace != self.selection.namespace:
            return None
        if self.selection.plain:
            return self._render(event.type, event.item, False, memo, previous=event.previous)
        matches = self.selection.matches
        before = event.previous is not None and matches(event.previous)
        if event.type == DELETED:
            return self._render(DELETED, event.item, False, memo) if before else None
        if matches(event.item):
            return self._render(MODIFIED if before else ADDED, event.item, False, memo)
        if before and event.previous is not None:
            return self._render(DELETED, event.previous, True, memo, event.revision)
        return None

    def _render(
        self,
        type_: str,
        item: StoredItem,
        left: bool,
        memo: _Memo,
        revision: int = 0,
        previous: StoredItem | None = None,
    ) -> RenderedEvent:
        # Of one change there are at most: its natural event, ADDED for who has not seen it, DELETED for who it leaves.
        key = (id(self.view), left) if left or type_ != ADDED else (-id(self.view), left)
        rendered = memo.get(key)
        if rendered is None:
            shown = item.at(revision) if left else item
            rendered = memo[key] = RenderedEvent(type_, self.view.item(shown), previous)
        return rendered


class Subscriber(Struct, frozen=True):
    """Who watches. ``after``: events up to that revision are not for them, even if they are yet to come."""

    sink: Sink
    closed: Callable[[], None]
    bookmarks: bool = False
    after: int = 0


class RunningWatch:
    """Implements ``verbs.Watch``."""

    def __init__(self, table: WatchTable, group: _Group, subscriber: Subscriber) -> None:
        self._table, self._group, self._subscriber = table, group, subscriber
        self._stopped = False
        self._after = subscriber.after

    @property
    def bookmarks(self) -> bool:
        """Whether bookmarks are wanted."""
        return self._subscriber.bookmarks

    def stop(self) -> None:
        """See ``verbs.Watch.stop``."""
        if not self._stopped:
            self._stopped = True
            self._table.remove(self._group, self)

    def send(self, events: Sequence[WatchEvent]) -> None:
        """Hands events to the sink. A sink that raises loses its watch, nothing else."""
        if self._stopped:
            return
        if self._after:
            events = self._not_yet_seen(events)
        try:
            if events:
                self._subscriber.sink(events)
        except Exception:
            # One broken connection must not stop the cache for all others.
            logger.exception("a watch of %s failed and is ended", self._group.view.kind)
            self.end()

    def _not_yet_seen(self, events: Sequence[WatchEvent]) -> Sequence[WatchEvent]:
        news = [event for event in events if event.item is None or event.item.revision > self._after]
        if len(news) < len(events):
            return news
        self._after = 0  # everything from now on is new
        return events  # the very batch that the others of the group get, so that it is framed once

    def end(self) -> None:
        """Stops from the cache's side and says so."""
        if not self._stopped:
            self.stop()
            self._subscriber.closed()


class WatchTable:
    """All watches of one resource."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, Selection], _Group] = {}
        self._buckets: dict[tuple[str, _Trigger], list[_Group]] = {}
        self._fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<WatchTable of {len(self._groups)} groups, {self.count} watches>"

    @property
    def count(self) -> int:
        """How many watches are running."""
        return sum(len(group.watches) for group in self._groups.values())

    def add(self, view: View, selection: Selection, subscriber: Subscriber) -> RunningWatch:
        """A watch that gets what is dispatched from now on."""
        group = self._groups.get((id(view), selection))
        if group is None:
            group = self._groups[id(view), selection] = _Group(view, selection)
            self._buckets.setdefault(_bucket(selection), []).append(group)
            self._note_fields()
        watch = RunningWatch(self, group, subscriber)
        group.watches.append(watch)
        return watch

    def remove(self, group: _Group, watch: RunningWatch) -> None:
        """Forgets a watch, and its group with the last one."""
        group.watches.remove(watch)
        if group.watches:
            return
        del self._groups[id(group.view), group.selection]
        bucket = _bucket(group.selection)
        self._buckets[bucket].remove(group)
        if not self._buckets[bucket]:
            del self._buckets[bucket]
        self._note_fields()

    def dispatch(self, events: Iterable[CacheEvent]) -> None:
        """Hands a batch of changes to everyone concerned, one call per watch."""
        if not self._groups:
            return
        pending: dict[_Group, list[WatchEvent]] = {}
        for event in events:
            memo: _Memo = {}
            for bucket in self._buckets_of(event):
                for group in self._buckets.get(bucket, ()):
                    rendered = group.judge(event, memo)
                    if rendered is not None:
                        pending.setdefault(group, []).append(rendered)
        for group, batch in pending.items():
            for watch in tuple(group.watches):
                watch.send(batch)

    def bookmark(self, revision: int) -> None:
        """Sends a bookmark to the watches that asked for them."""
        for group in tuple(self._groups.values()):
            wanting = [watch for watch in group.watches if watch.bookmarks]
            if wanting:
                bookmark = (Bookmark(group.view, revision),)
                for watch in wanting:
                    watch.send(bookmark)

    def end_all(self) -> None:
        """Ends every watch."""
        for group in tuple(self._groups.values()):
            for watch in tuple(group.watches):
                watch.end()

    def _note_fields(self) -> None:
        triggers = {trigger[0] for _, trigger in self._buckets if trigger is not None}
        self._fields = tuple(field for field in INDEXED_FIELDS if field in triggers)

    def _buckets_of(self, event: CacheEvent) -> Iterable[tuple[str, _Trigger]]:
        item, previous = event.item, event.previous
        triggers: set[_Trigger] = {None, ("", item.name)}
        for field in self._fields:
            triggers.add((field, item.head.fields.get(field, "")))
            if previous is not None:
                triggers.add((field, previous.head.fields.get(field, "")))
        namespaces = ("", item.namespace) if item.namespace else ("",)
        return [(namespace, trigger) for namespace in namespaces for trigger in triggers]


def replay(view: View, selection: Selection, events: Iterable[CacheEvent]) -> list[WatchEvent]:
    """What a watch that resumes sees of past changes."""
    group = _Group(view, selection)
    judged = (group.judge(event, {}) for event in events)
    return [rendered for rendered in judged if rendered is not None]


def initial(view: View, items: Iterable[StoredItem]) -> list[WatchEvent]:
    """The state as ADDED events."""
    return [RenderedEvent(ADDED, view.item(item)) for item in items]


def _bucket(selection: Selection) -> tuple[str, _Trigger]:
    if selection.name is not None:
        return selection.namespace, ("", selection.name)
    for field in INDEXED_FIELDS:
        if field in selection.exact_fields:
            return selection.namespace, (field, selection.exact_fields[field])
    return selection.namespace, None
