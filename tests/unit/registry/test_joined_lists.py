"""Joined bodies of lists, and what is kept of them."""

from __future__ import annotations

import json

from podkeeper.registry.cache.joined import JoinedLists, join
from podkeeper.registry.verbs import Listing


def listing(revision: int, size: int = 10) -> Listing:
    return Listing((), revision, "", None, b"x" * size)


def test_the_body_is_a_list_object() -> None:
    class Item:
        key = namespace = name = ""
        revision = 1

        def __init__(self, body: bytes) -> None:
            self.json = body

        def tree(self) -> dict[str, object]:
            return {}

    items = [Item(b'{"a":1}'), Item(b'{"a":2}')]
    for count in range(3):
        body = join("v1", "PodList", items[:count], revision=7, continuation="", remaining=None)
        assert json.loads(body) == {
            "kind": "PodList",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": "7"},
            "items": [{"a": index + 1} for index in range(count)],
        }
    body = join("apps/v1", "DeploymentList", items, revision=7, continuation="t", remaining=3)
    assert json.loads(body)["metadata"] == {"resourceVersion": "7", "continue": "t", "remainingItemCount": 3}


def test_a_listing_is_good_until_something_changes() -> None:
    kept = JoinedLists()
    first = listing(5)
    kept.keep("q", first)
    assert kept.get("q", 5) is first
    assert kept.get("q", 6) is None
    assert kept.get("other", 1) is None


def test_the_least_recently_used_goes_first() -> None:
    kept = JoinedLists(most=2)
    for name in "ab":
        kept.keep(name, listing(1))
    assert kept.get("a", 1)
    kept.keep("c", listing(1))
    assert (kept.get("b", 1), bool(kept.get("a", 1)), bool(kept.get("c", 1))) == (None, True, True)


def test_bytes_are_bounded() -> None:
    kept = JoinedLists(most_bytes=100)
    kept.keep("a", listing(1, 60))
    kept.keep("b", listing(1, 60))
    assert (kept.get("a", 1), bool(kept.get("b", 1))) == (None, True)
    kept.keep("huge", listing(1, 101))
    assert kept.get("huge", 1) is None
    assert kept.get("b", 1)


def test_what_is_old_is_given_up() -> None:
    kept = JoinedLists()
    kept.keep("a", listing(1))
    kept.keep("b", listing(9))
    kept.drop_older(5)
    assert (kept.get("a", 1), bool(kept.get("b", 1))) == (None, True)
    assert repr(kept) == "<JoinedLists 1 of 10 bytes>"
