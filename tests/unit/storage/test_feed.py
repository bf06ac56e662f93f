"""What a watcher's queue may cost, and what is said when it costs too much."""

from __future__ import annotations

import pytest

from podkeeper.storage import feed as feed_module
from podkeeper.storage.feed import Feed, FellBehind
from podkeeper.storage.store import Change, Entry, Record


def entry(revision: int, key: str = "/a/x") -> Entry:
    return Entry(Change.CREATE, Record(key, b"", revision, revision), None)


async def test_a_queue_that_nobody_reads_is_given_up_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "QUEUED", 10)
    feed = Feed(0)
    subscription = feed.subscribe("/a/")
    for revision in range(1, 6):
        feed.publish([entry(revision)], revision)
    assert [each.record.revision for each in await subscription.wait_for_entries()] == [1, 2, 3, 4, 5]
    feed.publish([entry(6, "/other")], 6)
    for revision in range(7, 1000):
        feed.publish([entry(revision)], revision)
        assert "queued=0" in repr(subscription) or revision < 17
    with pytest.raises(FellBehind) as behind:
        await subscription.wait_for_entries()
    assert behind.value.first == 7
    feed.publish([entry(1000)], 1000)
    assert [each.record.revision for each in await subscription.wait_for_entries()] == [1000]
