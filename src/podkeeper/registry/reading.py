"""GET, LIST and WATCH: from the watch cache, or from the log where an older revision is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from podkeeper.api.errors import ApiError, bad_request, expired, not_found
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.registry import continuation
from podkeeper.registry.cache import watching
from podkeeper.registry.cache.joined import join
from podkeeper.registry.cache.mirror import too_large
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.cache.watching import Subscriber
from podkeeper.registry.cache.window import CacheEvent
from podkeeper.registry.continuation import Continuation
from podkeeper.registry.item import StoredItem
from podkeeper.registry.list_options import Freshness, ReadPlan, WatchPlan, plan_get, plan_list, plan_watch
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import Listing, ListOptions, Sink, Watch
from podkeeper.storage.store import Entry, Record, RevisionCompacted, RevisionInFuture

_LOG_PAGE = 500
#: How many revisions a watch goes back in the log, beyond what the cache has.
MOST_PAST_REVISIONS = 20_000

_CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_LIST_EXPIRED = "The resourceVersion for the provided list is too old."


class ExpiredContinuation(ApiError):
    """410 with a token in its metadata from which the list can go on, inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", _CONTINUE_EXPIRED)
        self.token = token

    def status(self) -> dict[str, object]:
        """The Status with the token."""
        return super().status() | {"metadata": {"continue": self.token}}


async def get(kind: ServedKind, namespace: str, name: str, resource_version: str | None) -> StoredItem:
    """One object. Raises 404, and 504 for a revision that is not there yet."""
    mirror = kind.backing.mirror
    if resource_version:
        await _wait(kind, plan_get(resource_version))
    elif mirror.revision < kind.backing.store.revision:
        await mirror.wait_until_fresh()
    item = kind.cache.items.get(kind.cache.key(namespace, name))
    if item is None:
        raise not_found(kind.resource.name, kind.resource.group, name)
    return item


def selection_of(kind: ServedKind, namespace: str, options: ListOptions) -> Selection:
    """What a list or watch selects. Raises 400 for selectors that cannot be understood."""
    try:
        labels = label_selectors.parse(options.label_selector)
    except label_selectors.SelectorError as error:
        raise bad_request(str(error)) from error
    fields = kind.field_labels.parse(options.field_selector)
    custom = kind.custom
    shown = custom if custom is not None and custom.decides(labels, fields) else None
    return Selection(namespace, labels, fields, shown)


async def list_items(kind: ServedKind, namespace: str, options: ListOptions) -> Listing:
    """A page of objects, joined."""
    prefix = f"{kind.cache.prefix}{namespace}/" if namespace else kind.cache.prefix
    plan = plan_list(options, prefix)
    selection = selection_of(kind, namespace, options)
    await _wait(kind, plan)
    if plan.freshness is Freshness.EXACT and _is_of_the_past(kind, plan.revision):
        return await _list_from_log(kind, prefix, selection, options.limit, plan)
    return _list_from_cache(kind, prefix, selection, options.limit, plan)


def _is_of_the_past(kind: ServedKind, revision: int) -> bool:
    """Whether the cache does not show that revision, or nobody may ask for it any more, changed since or not."""
    return kind.cache.changed > revision or revision < kind.backing.store.oldest


async def watch(
    kind: ServedKind, namespace: str, options: ListOptions, sink: Sink, closed: Callable[[], None]
) -> Watch:
    """Sends what the plan begins with, then everything after. Raises 410 when the revision asked for is gone."""
    plan = plan_watch(options)
    selection = selection_of(kind, namespace, options)
    await _wait(kind, plan)
    cache, view, mirror = kind.cache, kind.view, kind.backing.mirror
    if plan.revision > mirror.revision:
        await mirror.wait_until_fresh()
    if plan.revision and not plan.send_state:
        past, seen = list[CacheEvent](), plan.revision
        while seen < cache.window.since:
            seen = cache.window.since
            past = await _past_events(kind, plan.revision, seen)
        first = watching.replay(view, selection, [*past, *cache.window.after(seen)])
    elif plan.send_state:
        first = watching.initial(view, cache.select(selection))
    else:
        first = []
    if plan.mark_end_of_state:
        first.append(watching.Bookmark(view, mirror.revision, initial_events_end=True))
    still_to_come = plan.revision if plan.revision > mirror.revision else 0
    subscriber = Subscriber(sink, closed, options.allow_bookmarks, still_to_come)
    running = cache.watches.add(view, selection, subscriber)
    if first:
        running.send(first)
    return running


async def _past_events(kind: ServedKind, after: int, until: int) -> list[CacheEvent]:
    """What happened between two revisions before the cache's window, from the log. Raises 410 when that is gone, or so
    much that a list is the better way."""
    store, cache, found = kind.backing.store, kind.cache, list[CacheEvent]()
    if until - after > MOST_PAST_REVISIONS:
        raise _too_old(after, until)
    try:
        # Everything is read, not this resource alone: that a later revision comes is certain only then.
        async with aclosing(cast(AsyncGenerator[Sequence[Entry]], store.watch("/", after))) as batches:
            async for batch in batches:
                found += [cache.past_event(each) for each in batch if _is_past(cache, each, until)]
                if batch[-1].record.revision >= until:
                    break
    except RevisionCompacted:
        raise _too_old(after, until) from None
    return found


def _is_past(cache: ResourceCache, entry: Entry, until: int) -> bool:
    return entry.record.key.startswith(cache.prefix) and entry.record.revision <= until


def _too_old(revision: int, oldest: int) -> ApiError:
    return expired(f"too old resource version: {revision} ({oldest})")


async def _wait(kind: ServedKind, plan: ReadPlan | WatchPlan) -> None:
    mirror = kind.backing.mirror
    if plan.freshness is Freshness.LATEST:
        await mirror.wait_until_fresh()
    elif plan.freshness is not Freshness.ANY:
        await mirror.wait_for_revision(plan.revision)


def _list_from_cache(kind: ServedKind, prefix: str, selection: Selection, limit: int, plan: ReadPlan) -> Listing:
    exact = plan.freshness is Freshness.EXACT
    revision = plan.revision if exact else kind.backing.mirror.revision
    # A list made since the last change of this resource is as true now, and a watch can begin at its revision.
    asked = (id(kind.view), selection, limit, plan.after, revision if exact else 0)
    kept = kind.backing.joined.get(asked, max(kind.cache.changed, plan.revision))
    if kept is not None:
        return kept
    found = kind.cache.select(selection, plan.after, limit + 1 if limit else 0)
    page = found[:limit] if limit else found
    remaining = None
    if len(found) > len(page) and selection.plain:
        remaining = kind.cache.count(selection.namespace, page[-1].key)
    listing = _listing(kind, prefix, page, revision, len(found) > len(page), remaining)
    kind.backing.joined.keep(asked, listing)
    return listing


async def _list_from_log(kind: ServedKind, prefix: str, selection: Selection, limit: int, plan: ReadPlan) -> Listing:
    found, remaining, after = [], 0, plan.after
    while True:
        try:
            wanted = limit if limit and selection.plain else _LOG_PAGE
            page = await kind.backing.store.range(prefix, after=after, limit=wanted, revision=plan.revision)
        except RevisionCompacted:
            raise _gone(kind, prefix, plan) from None
        except RevisionInFuture as error:
            raise too_large(plan.revision, error.current) from None
        found += _matching(kind, selection, page.records)
        remaining = page.remaining
        if not remaining or (limit and len(found) > limit) or (limit and selection.plain):
            break
        after = page.records[-1].key
    more = len(found) > limit if limit and not selection.plain else bool(remaining)
    page_items = found[:limit] if limit else found
    return _listing(kind, prefix, page_items, plan.revision, more, remaining if selection.plain and more else None)


def _matching(kind: ServedKind, selection: Selection, records: Sequence[Record]) -> list[StoredItem]:
    items = (kind.cache.item_of(record) for record in records)
    return [item for item in items if selection.matches(item)]


def _listing(
    kind: ServedKind, prefix: str, page: Sequence[StoredItem], revision: int, more: bool, remaining: int | None
) -> Listing:
    token = continuation.encode(Continuation(revision, page[-1].key), prefix) if more else ""
    shown = [kind.show(item) for item in page] if kind.rendered else page
    resource = kind.resource
    body = join(
        resource.api_version, resource.list_kind, shown, revision=revision, continuation=token, remaining=remaining
    )
    return Listing(shown, revision, token, remaining, body)


def _gone(kind: ServedKind, prefix: str, plan: ReadPlan) -> ApiError:
    if not plan.continued:
        return expired(_LIST_EXPIRED)
    token = continuation.encode(Continuation(continuation.INCONSISTENT, plan.after), prefix)
    return ExpiredContinuation(token)
