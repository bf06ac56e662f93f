"""Joined bodies of lists, kept while nothing changed: a few, within a bound of bytes, the least recently used go
first. The bound counts the JSON; a rendering in protobuf that is kept with it is about a third of that."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

import orjson

from podkeeper.registry.verbs import Item, Listing

MOST = 64
MOST_BYTES = 32 << 20


class JoinedLists:
    """Listings by what was asked. One is good as long as nothing of its resource has changed since its revision."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._listings: OrderedDict[Hashable, Listing] = OrderedDict()

    def __repr__(self) -> str:
        return f"<JoinedLists {len(self._listings)} of {self._bytes} bytes>"

    def get(self, asked: Hashable, not_before: int) -> Listing | None:
        """The listing for that question, if it was made at that revision or later."""
        listing = self._listings.get(asked)
        if listing is None or listing.revision < not_before:
            return None
        self._listings.move_to_end(asked)
        return listing

    def keep(self, asked: Hashable, listing: Listing) -> None:
        """Keeps a listing, unless it alone is beyond the bound."""
        self._drop(asked)
        if len(listing.json) > self._most_bytes:
            return
        self._listings[asked] = listing
        self._bytes += len(listing.json)
        while len(self._listings) > self._most or self._bytes > self._most_bytes:
            self._drop(next(iter(self._listings)))

    def drop_older(self, revision: int) -> None:
        """Gives up what was made before a revision."""
        for asked in [asked for asked, listing in self._listings.items() if listing.revision < revision]:
            self._drop(asked)

    def _drop(self, asked: Hashable) -> None:
        listing = self._listings.pop(asked, None)
        if listing is not None:
            self._bytes -= len(listing.json)


def join(
    api_version: str, kind: str, items: Sequence[Item], *, revision: int, continuation: str, remaining: int | None
) -> bytes:
    """The List object, ``kind`` its own. ``remaining`` None: left out."""
    metadata = {"resourceVersion": str(revision)}
    if continuation:
        metadata["continue"] = continuation
    head = f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":'.encode() + orjson.dumps(metadata)
    if remaining is not None:
        head = head[:-1] + f',"remainingItemCount":{remaining}}}'.encode()
    if not items:
        return head + b',"items":[]}\n'
    bodies = [item.json for item in items]
    # One join is one copy of what may be megabytes.
    bodies[0] = head + b',"items":[' + bodies[0]
    bodies[-1] += b"]}\n"
    return b",".join(bodies)
