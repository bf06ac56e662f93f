"""The contract of ``storage.store.Store``, run by every engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import (
    Change,
    Entry,
    KeyExists,
    Record,
    RevisionCompacted,
    RevisionInFuture,
    RevisionMismatch,
    Store,
    StoreClosed,
)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    engine: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield engine
    await engine.close()


async def first_entries(watch: AsyncIterator[Sequence[Entry]], count: int) -> list[Entry]:
    """The first ``count`` entries of a watch."""
    entries: list[Entry] = []
    async with asyncio.timeout(20):
        while len(entries) < count:
            entries.extend(await anext(watch))
    assert len(entries) == count
    return entries


async def keys_of(store: Store, prefix: str, **options: int | str) -> list[str]:
    page = await store.range(prefix, **options)  # type: ignore[arg-type]
    return [record.key for record in page.records]


class TestWrites:
    async def test_a_new_store_is_at_revision_zero(self, store: Store) -> None:
        assert (store.revision, store.oldest) == (0, 1)
        assert await store.get("/a") is None
        page = await store.range("")
        assert (list(page.records), page.revision, page.remaining) == ([], 0, 0)

    async def test_a_created_key_can_be_read(self, store: Store) -> None:
        revision = await store.create("/a", b"1")
        assert store.revision == revision
        assert await store.get("/a") == Record("/a", b"1", revision, revision)

    async def test_create_refuses_a_present_key_and_shows_it(self, store: Store) -> None:
        revision = await store.create("/a", b"1")
        with pytest.raises(KeyExists) as failure:
            await store.create("/a", b"2")
        assert failure.value.current == Record("/a", b"1", revision, revision)
        assert store.revision == revision

    async def test_update_keeps_the_creation_revision(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        updated = await store.update("/a", b"2", created)
        assert updated > created
        assert await store.get("/a") == Record("/a", b"2", updated, created)

    async def test_update_refuses_another_revision(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        updated = await store.update("/a", b"2", created)
        with pytest.raises(RevisionMismatch) as failure:
            await store.update("/a", b"3", created)
        assert (failure.value.key, failure.value.expected) == ("/a", created)
        assert failure.value.current == Record("/a", b"2", updated, created)

    async def test_update_refuses_an_absent_key(self, store: Store) -> None:
        with pytest.raises(RevisionMismatch) as failure:
            await store.update("/a", b"3", 0)
        assert failure.value.current is None

    async def test_delete_takes_a_revision_of_its_own(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        deleted = await store.delete("/a", created)
        assert store.revision == deleted > created
        assert await store.get("/a") is None
        assert await keys_of(store, "/") == []

    async def test_delete_refuses_another_revision_and_an_absent_key(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        with pytest.raises(RevisionMismatch):
            await store.delete("/a", created + 1)
        await store.delete("/a", created)
        with pytest.raises(RevisionMismatch) as failure:
            await store.delete("/a", created)
        assert failure.value.current is None

    async def test_a_deleted_key_can_be_created_again(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        await store.delete("/a", created)
        again = await store.create("/a", b"2")
        assert await store.get("/a") == Record("/a", b"2", again, again)

    async def test_empty_values_and_odd_keys_are_kept(self, store: Store) -> None:
        await store.create("/é/\U0001f600", b"")
        record = await store.get("/é/\U0001f600")
        assert record is not None
        assert record.value == b""
        assert await keys_of(store, "/é/") == ["/é/\U0001f600"]


class TestConcurrentWriters:
    async def test_each_gets_a_revision_of_its_own(self, store: Store) -> None:
        revisions = await asyncio.gather(*(store.create(f"/k/{index}", b"v") for index in range(300)))
        assert len(set(revisions)) == 300
        assert store.revision == max(revisions)
        page = await store.range("/k/")
        assert {record.key: record.revision for record in page.records} == {
            f"/k/{index}": revision for index, revision in enumerate(revisions)
        }

    async def test_one_of_many_creators_wins(self, store: Store) -> None:
        results = await asyncio.gather(
            *(store.create("/a", str(index).encode()) for index in range(50)), return_exceptions=True
        )
        winners = [index for index, result in enumerate(results) if isinstance(result, int)]
        assert len(winners) == 1
        record = await store.get("/a")
        assert record is not None
        assert record.value == str(winners[0]).encode()
        assert all(
            isinstance(result, KeyExists) and result.current == record
            for result in results
            if result not in [record.revision]
        )

    async def test_one_of_many_updaters_wins_and_the_rest_see_the_winner(self, store: Store) -> None:
        created = await store.create("/a", b"")
        results = await asyncio.gather(
            *(store.update("/a", str(index).encode(), created) for index in range(50)), return_exceptions=True
        )
        winner = await store.get("/a")
        assert [result for result in results if isinstance(result, int)] == [winner and winner.revision]
        losers = [result for result in results if isinstance(result, RevisionMismatch)]
        assert len(losers) == 49
        assert all(loser.current == winner for loser in losers)

    async def test_counters_lose_no_increment(self, store: Store) -> None:
        await store.create("/n", b"0")

        async def increment() -> None:
            record = await store.get("/n")
            while record is not None:
                try:
                    await store.update("/n", str(int(record.value) + 1).encode(), record.revision)
                    return
                except RevisionMismatch as mismatch:
                    record = mismatch.current

        await asyncio.gather(*(increment() for _ in range(40)))
        final = await store.get("/n")
        assert final is not None
        assert final.value == b"40"

    async def test_a_mismatch_shows_only_what_is_acknowledged(self, store: Store) -> None:
        created = await store.create("/a", b"1")

        async def lose() -> bool:
            try:
                await store.update("/a", b"3", created)
            except RevisionMismatch as mismatch:
                return mismatch.current is not None and mismatch.current.revision <= store.revision
            return False

        won, seen = await asyncio.gather(store.update("/a", b"2", created), lose())
        assert won > created
        assert seen

    async def test_a_deletion_under_way_and_a_creation_after_it_both_happen(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        deleted, again = await asyncio.gather(store.delete("/a", created), store.create("/a", b"2"))
        assert again > deleted > created
        assert await store.get("/a") == Record("/a", b"2", again, again)

    async def test_a_change_may_build_on_one_that_is_on_its_way(self, store: Store) -> None:
        creating = asyncio.ensure_future(store.create("/a", b"0"))
        await asyncio.sleep(0)
        revisions, pending = [], []
        for count in range(1, 5):
            newest = store.newest("/a")
            assert newest is not None
            assert newest.value == str(count - 1).encode()
            revisions.append(newest.revision)
            pending.append(asyncio.ensure_future(store.update("/a", str(count).encode(), newest.revision)))
            await asyncio.sleep(0)
        assert [await creating, *(await asyncio.gather(*pending))][:-1] == revisions
        record = await store.get("/a")
        assert record == store.newest("/a")
        assert record is not None
        deleting = asyncio.ensure_future(store.delete("/a", record.revision))
        await asyncio.sleep(0)
        assert store.newest("/a") is None
        await deleting
        assert store.newest("/a") is None

    async def test_a_cancelled_write_happens_wholly_or_not_at_all(self, store: Store) -> None:
        tasks = [asyncio.create_task(store.create(f"/k/{index}", b"value")) for index in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await store.create("/barrier", b"")
        page = await store.range("/k/")
        present = {record.key: record for record in page.records}
        for index, result in enumerate(results):
            if isinstance(result, int):
                assert present[f"/k/{index}"].revision == result
        assert all(record.value == b"value" for record in page.records)


class TestRange:
    async def test_keys_come_in_byte_order_under_their_prefix(self, store: Store) -> None:
        for key in ["/b/2", "/a/1", "/b/10", "/b", "/b/é", "/b/\uffff", "/b/\U00010000", "/c/1", "/b0"]:
            await store.create(key, b"")
        assert await keys_of(store, "/b/") == ["/b/10", "/b/2", "/b/é", "/b/\uffff", "/b/\U00010000"]
        assert await keys_of(store, "/b") == ["/b", *await keys_of(store, "/b/"), "/b0"]
        assert len(await keys_of(store, "")) == 9

    async def test_a_prefix_that_ends_at_the_highest_code_point(self, store: Store) -> None:
        await store.create("/\U0010ffff", b"")
        await store.create("/\U0010ffff/x", b"")
        await store.create("0", b"")
        assert await keys_of(store, "/\U0010ffff") == ["/\U0010ffff", "/\U0010ffff/x"]

    async def test_wildcards_of_other_languages_are_plain_text(self, store: Store) -> None:
        for key in ["/%/a", "/_/a", "/*/a", "/x/a"]:
            await store.create(key, b"")
        assert await keys_of(store, "/%") == ["/%/a"]
        assert await keys_of(store, "/_") == ["/_/a"]
        assert await keys_of(store, "/*") == ["/*/a"]

    async def test_pages_join_up(self, store: Store) -> None:
        for index in range(10):
            await store.create(f"/k/{index}", str(index).encode())
        first = await store.range("/k/", limit=4)
        assert [record.key for record in first.records] == ["/k/0", "/k/1", "/k/2", "/k/3"]
        assert first.remaining == 6
        await store.create("/k/3x", b"later")
        second = await store.range("/k/", after="/k/3", limit=4, revision=first.revision)
        assert [record.key for record in second.records] == ["/k/4", "/k/5", "/k/6", "/k/7"]
        assert (second.revision, second.remaining) == (first.revision, 2)
        third = await store.range("/k/", after="/k/7", limit=4, revision=first.revision)
        assert (len(third.records), third.remaining) == (2, 0)

    async def test_every_page_knows_how_many_follow(self, store: Store) -> None:
        for index in range(23):
            await store.create(f"/k/{index:02}", b"")
        page = await store.range("/k/", limit=5)
        follow, revision = [page.remaining], page.revision
        while page.remaining:
            await store.create(f"/k/{page.records[-1].key[-2:]}-new", b"")
            page = await store.range("/k/", after=page.records[-1].key, limit=5, revision=revision)
            follow.append(page.remaining)
        assert follow == [18, 13, 8, 3, 0]
        again = await store.range("/k/", after="/k/04", limit=7, revision=revision)
        assert (len(again.records), again.remaining) == (7, 11)

    async def test_after_a_key_outside_the_prefix(self, store: Store) -> None:
        for key in ["/a/1", "/b/1", "/c/1"]:
            await store.create(key, b"")
        assert await keys_of(store, "/b/", after="/a/9") == ["/b/1"]
        assert await keys_of(store, "/b/", after="/b/1") == []
        assert await keys_of(store, "/b/", after="/c/0") == []

    async def test_the_past_is_readable(self, store: Store) -> None:
        first = await store.create("/a", b"1")
        second = await store.create("/b", b"1")
        third = await store.update("/a", b"2", first)
        fourth = await store.delete("/b", second)
        seen = {}
        for revision in (first, second, third, fourth):
            page = await store.range("/", revision=revision)
            assert page.revision == revision
            seen[revision] = {record.key: record.value for record in page.records}
        assert seen == {
            first: {"/a": b"1"},
            second: {"/a": b"1", "/b": b"1"},
            third: {"/a": b"2", "/b": b"1"},
            fourth: {"/a": b"2"},
        }
        assert await store.get("/a", first) == Record("/a", b"1", first, first)
        assert await store.get("/b", fourth) is None
        assert await store.get("/b", first) is None

    async def test_the_future_is_not(self, store: Store) -> None:
        revision = await store.create("/a", b"1")
        with pytest.raises(RevisionInFuture) as failure:
            await store.range("/", revision=revision + 1)
        assert (failure.value.revision, failure.value.current) == (revision + 1, revision)
        with pytest.raises(RevisionInFuture):
            await store.get("/a", revision + 1)


class TestWatch:
    async def test_the_past_comes_first_then_what_is_new(self, store: Store) -> None:
        first = await store.create("/a/1", b"1")
        second = await store.update("/a/1", b"2", first)
        watch = store.watch("/a/", 0)
        past = await first_entries(watch, 2)
        third = await store.delete("/a/1", second)
        new = await first_entries(watch, 1)
        one, two = Record("/a/1", b"1", first, first), Record("/a/1", b"2", second, first)
        assert past == [Entry(Change.CREATE, one, None), Entry(Change.UPDATE, two, one)]
        assert new == [Entry(Change.DELETE, Record("/a/1", b"2", third, first), two)]

    async def test_past_deletions_carry_their_last_value(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        deleted = await store.delete("/a", created)
        again = await store.create("/a", b"2")
        entries = await first_entries(store.watch("/", created), 2)
        assert entries == [
            Entry(Change.DELETE, Record("/a", b"1", deleted, created), Record("/a", b"1", created, created)),
            Entry(Change.CREATE, Record("/a", b"2", again, again), None),
        ]

    async def test_only_the_prefix_is_seen(self, store: Store) -> None:
        keys = ["/a", "/a/1", "/b/1", "/a/2", "/ab"]
        expected = {
            prefix: [key for key in keys if key.startswith(prefix)] for prefix in ("", "/", "/a", "/a/", "/a/1", "/b/")
        }
        running = [
            asyncio.ensure_future(first_entries(store.watch(prefix, 0), len(seen))) for prefix, seen in expected.items()
        ]
        await asyncio.sleep(0)
        for key in keys:
            await store.create(key, b"")
        past = [await first_entries(store.watch(prefix, 0), len(seen)) for prefix, seen in expected.items()]
        for entries in (await asyncio.gather(*running), past):
            assert [[entry.record.key for entry in seen] for seen in entries] == list(expected.values())

    async def test_a_watch_after_a_revision_to_come_skips_what_is_before_it(self, store: Store) -> None:
        watch = store.watch("/", 2)
        pending = asyncio.ensure_future(first_entries(watch, 1))
        await asyncio.sleep(0)
        for index in range(3):
            await store.create(f"/{index}", b"")
        assert [entry.record.key for entry in await pending] == ["/2"]

    async def test_nothing_is_lost_or_doubled_under_concurrent_writes(self, store: Store) -> None:
        async def write(name: int) -> None:
            revision = await store.create(f"/k/{name}", b"0")
            for count in range(5):
                revision = await store.update(f"/k/{name}", str(count).encode(), revision)

        async def follow(after: int) -> list[Entry]:
            return await first_entries(store.watch("/k/", after), 240 - after)

        async with asyncio.TaskGroup() as group:
            early = group.create_task(follow(0))
            for name in range(40):
                group.create_task(write(name))
            late = []
            while store.revision < 200:
                late.append(group.create_task(follow(store.revision)))
                await store.get("/k/0")
                await asyncio.sleep(0)
        entries = early.result()
        assert [entry.record.revision for entry in entries] == list(range(1, 241))
        for task in late:
            assert task.result() == entries[240 - len(task.result()) :]
        values: dict[str, Record] = {}
        for entry in entries:
            assert entry.previous == values.get(entry.record.key)
            values[entry.record.key] = entry.record

    async def test_a_watcher_that_does_not_keep_up_misses_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("podkeeper.storage.feed.QUEUED", 10)
        watch = store.watch("/a/", 0)
        first = await store.create("/a/0", b"")
        seen = list(await anext(watch))
        for number in range(1, 40):
            await store.create(f"/a/{number}", b"")
            await store.create(f"/b/{number}", b"")
        while len(seen) < 40:
            seen.extend(await anext(watch))
        late = asyncio.ensure_future(anext(watch))
        await store.create("/a/40", b"")
        seen.extend(await late)
        assert [entry.record.key for entry in seen] == [f"/a/{number}" for number in range(41)]
        assert seen[0].record.revision == first
        await watch.aclose()  # type: ignore[attr-defined]

    async def test_a_watcher_that_sleeps_through_a_compaction_is_told(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("podkeeper.storage.feed.QUEUED", 10)
        await store.create("/a/0", b"")
        quiet, loud = store.watch("/q/", store.revision), store.watch("/a/", 0)
        await anext(loud)
        waiting = asyncio.ensure_future(anext(quiet))
        await asyncio.sleep(0)
        for number in range(1, 40):
            await store.create(f"/a/{number}", b"")
        await store.compact(store.revision)
        with pytest.raises(RevisionCompacted):
            _ = [batch async for batch in loud]
        for number in range(12):
            await store.create(f"/q/{number}", b"")
        seen = list(await waiting)
        while len(seen) < 12:
            seen.extend(await anext(quiet))
        await quiet.aclose()  # type: ignore[attr-defined]

    async def test_what_a_watch_shows_can_be_read(self, store: Store) -> None:
        async def follow() -> None:
            seen = 0
            async for batch in store.watch("/k/", 0):
                for entry in batch:
                    assert entry.record.revision <= store.revision
                    assert await store.get(entry.record.key) == entry.record
                seen += len(batch)
                if seen == 20:
                    return

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(follow())
            for index in range(20):
                group.create_task(store.create(f"/k/{index}", b"v"))

    async def test_a_cancelled_watch_leaves_the_store_working(self, store: Store) -> None:
        async def follow() -> None:
            async for _ in store.watch("/", 0):
                pass

        task = asyncio.create_task(follow())
        await store.create("/a", b"")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        revision = await store.create("/b", b"")
        assert [entry.record.revision for entry in await first_entries(store.watch("/", 0), 2)][-1] == revision


class TestCompaction:
    async def test_the_current_view_never_changes(self, store: Store) -> None:
        revisions = [await store.create(f"/{index}", b"0") for index in range(5)]
        for _ in range(10):
            revisions[0] = await store.update("/0", b"x", revisions[0])
        await store.delete("/1", revisions[1])
        before = await store.range("")
        await store.compact(store.revision)
        assert await store.range("") == before
        assert store.oldest == store.revision

    async def test_older_reads_are_refused_and_newer_ones_unchanged(self, store: Store) -> None:
        revision = await store.create("/a", b"0")
        for count in range(1, 6):
            revision = await store.update("/a", str(count).encode(), revision)
        await store.create("/b", b"")
        expected = [await store.range("", revision=at) for at in range(4, 8)]
        await store.compact(4)
        assert store.oldest == 4
        assert [await store.range("", revision=at) for at in range(4, 8)] == expected
        for at in range(1, 4):
            with pytest.raises(RevisionCompacted) as failure:
                await store.range("", revision=at)
            assert (failure.value.revision, failure.value.oldest) == (at, 4)
            with pytest.raises(RevisionCompacted):
                await store.get("/a", at)

    async def test_a_key_deleted_before_stays_deleted(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        deleted = await store.delete("/a", created)
        await store.create("/b", b"")
        await store.compact(deleted)
        assert await store.get("/a", deleted) is None
        await store.compact(store.revision)
        assert await store.get("/a") is None
        again = await store.create("/a", b"2")
        assert await store.get("/a") == Record("/a", b"2", again, again)

    async def test_a_watch_resumes_where_nothing_is_lost(self, store: Store) -> None:
        revision = await store.create("/a", b"0")
        for count in range(1, 6):
            revision = await store.update("/a", str(count).encode(), revision)
        whole = await first_entries(store.watch("/", 0), 6)
        await store.compact(4)
        assert await first_entries(store.watch("/", 3), 3) == whole[3:]
        with pytest.raises(RevisionCompacted):
            await anext(store.watch("/", 2))

    async def test_a_deletion_at_the_compacted_revision_is_still_seen(self, store: Store) -> None:
        created = await store.create("/a", b"0")
        deleted = await store.delete("/a", created)
        await store.compact(deleted)
        (entry,) = await first_entries(store.watch("/", created), 1)
        assert entry == Entry(Change.DELETE, Record("/a", b"0", deleted, created), Record("/a", b"0", created, created))

    async def test_a_running_watch_goes_on(self, store: Store) -> None:
        watch = store.watch("/", 0)
        created = await store.create("/a", b"0")
        await first_entries(watch, 1)
        updated = await store.update("/a", b"1", created)
        await store.compact(updated)
        (entry,) = await first_entries(watch, 1)
        assert entry.record.revision == updated

    async def test_the_past_cannot_be_compacted_back_and_the_future_not_yet(self, store: Store) -> None:
        for index in range(4):
            await store.create(f"/{index}", b"")
        await store.compact(3)
        await store.compact(2)
        assert store.oldest == 3
        with pytest.raises(RevisionInFuture):
            await store.compact(5)

    async def test_writers_and_readers_go_on_meanwhile(self, store: Store) -> None:
        revision = await store.create("/hot", b"0")
        for count in range(300):
            revision = await store.update("/hot", str(count).encode(), revision)

        async with asyncio.TaskGroup() as group:
            group.create_task(store.compact(250))
            group.create_task(store.compact(300))
            writes = [group.create_task(store.create(f"/k/{index}", b"")) for index in range(50)]
        assert store.oldest == 300
        assert len({write.result() for write in writes}) == 50
        record = await store.get("/hot")
        assert record is not None
        assert record.value == b"299"


class TestClose:
    async def test_everything_is_refused_afterwards(self, store: Store) -> None:
        revision = await store.create("/a", b"1")
        await store.close()
        await store.close()
        with pytest.raises(StoreClosed):
            await store.create("/b", b"")
        with pytest.raises(StoreClosed):
            await store.update("/a", b"", revision)
        with pytest.raises(StoreClosed):
            await store.delete("/a", revision)
        with pytest.raises(StoreClosed):
            await store.get("/a")
        with pytest.raises(StoreClosed):
            await store.range("")
        with pytest.raises(StoreClosed):
            await store.compact(revision)
        with pytest.raises(StoreClosed):
            await anext(store.watch("", 0))

    async def test_a_running_watch_sees_everything_and_ends(self, store: Store) -> None:
        seen: list[int] = []

        async def follow() -> None:
            async for batch in store.watch("/", 0):
                seen.extend(entry.record.revision for entry in batch)

        task = asyncio.create_task(follow())
        await asyncio.sleep(0)
        revision = await store.create("/a", b"")
        await store.close()
        with pytest.raises(StoreClosed):
            await task
        assert seen == [revision]

    async def test_writes_under_way_are_waited_for(self, store: Store) -> None:
        task = asyncio.create_task(store.create("/a", b""))
        await asyncio.sleep(0)
        await store.close()
        assert await task == 1
