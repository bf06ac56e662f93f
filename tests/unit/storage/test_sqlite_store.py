"""What only the SQLite engine promises: its file, what survives, what a failed commit does, and that nothing bloats."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from podkeeper.foundation import mounts
from podkeeper.storage.sqlite import DatabaseLocked, SchemaUnsupported, SqliteStore
from podkeeper.storage.sqlite import heads as heads_module
from podkeeper.storage.sqlite.heads import Heads
from podkeeper.storage.store import Change, Entry, KeyExists, Record, StoreClosed, StoreFull


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


async def test_everything_survives_a_restart(path: Path) -> None:
    store = await SqliteStore.open(path)
    created = await store.create("/a", b"1")
    updated = await store.update("/a", b"2", created)
    deleted = await store.delete("/b", await store.create("/b", b"x"))
    await store.compact(updated)
    await store.close()
    again = await SqliteStore.open(path)
    assert (again.revision, again.oldest) == (deleted, updated)
    assert await again.get("/a") == Record("/a", b"2", updated, created)
    assert await again.create("/b", b"y") == deleted + 1
    await again.close()


async def test_a_revision_is_not_given_out_twice_although_the_newest_change_was_a_deletion(path: Path) -> None:
    store = await SqliteStore.open(path)
    deleted = await store.delete("/a", await store.create("/a", b""))
    await store.compact(deleted)
    await store.close()
    again = await SqliteStore.open(path)
    assert again.revision == deleted
    assert await again.create("/a", b"") > deleted
    await again.close()


async def test_only_the_owner_may_read_the_files(store: SqliteStore, path: Path) -> None:
    await store.create("/secret", b"s")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert set(modes) == {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_two_at_once_are_refused(store: SqliteStore, path: Path) -> None:
    with pytest.raises(DatabaseLocked, match="in use by another process"):
        await SqliteStore.open(path)
    await store.close()
    await (await SqliteStore.open(path)).close()


async def test_settings_that_durability_and_size_rest_on(store: SqliteStore, path: Path) -> None:
    await store.create("/a", b"")
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert await store._writer.run(lambda writer: writer.execute("PRAGMA synchronous").fetchone()) == (2,)


async def test_a_newer_schema_is_refused_by_name(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(SchemaUnsupported, match="schema version 7"):
        await SqliteStore.open(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    await (await SqliteStore.open(path)).close()


async def test_what_is_no_store_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(SchemaUnsupported, match="not a podkeeper store"):
        await SqliteStore.open(path)
    assert path.read_bytes() == b"not a database" * 100
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(SchemaUnsupported, match="application id"):
        await SqliteStore.open(path)


async def test_values_that_memory_no_longer_holds_are_found(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(heads_module, "RECENT_BYTES", 0)
    store = await SqliteStore.open(path)
    created = await asyncio.gather(*(store.create(f"/{number}", str(number).encode()) for number in range(300)))
    watch = store.watch("/", store.revision)
    following = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await asyncio.gather(*(store.update(f"/{number}", b"new", revision) for number, revision in enumerate(created)))
    entries = list(await following)
    while len(entries) < 300:
        entries.extend(await anext(watch))
    assert {entry.record.key: entry.previous for entry in entries} == {
        f"/{number}": Record(f"/{number}", str(number).encode(), revision, revision)
        for number, revision in enumerate(created)
    }
    await store.close()


def test_recent_records_are_bounded_but_never_those_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_module, "RECENT_BYTES", 3 * (heads_module.RECORD_OVERHEAD + 10))
    heads = Heads({})
    records = [Record(f"/{number}", b"x" * 10, number, number) for number in range(1, 7)]
    for record in records:
        heads.put(record, committed=2)
    assert [record.key for record in records if heads.recent(record.key)] == ["/3", "/4", "/5", "/6"]
    heads.put(Record("/7", b"", 7, 7), committed=6)
    assert [record.key for record in records if heads.recent(record.key)] == ["/5", "/6"]
    assert len(heads) == 7


async def test_events_and_leases_do_not_bloat_the_file(store: SqliteStore, path: Path) -> None:
    revision = await store.create("/lease", b"x" * 2000)
    sizes = []
    for _ in range(5):
        for turn in range(20):
            created = await asyncio.gather(*(store.create(f"/events/{turn}-{n}", b"e" * 2000) for n in range(50)))
            await asyncio.gather(*(store.delete(f"/events/{turn}-{n}", at) for n, at in enumerate(created)))
            revision = await store.update("/lease", b"y" * 2000, revision)
        await store.compact(store.revision)
        sizes.append(path.stat().st_size)
        assert path.with_name("store.db-wal").stat().st_size < 16 << 20
    # 1,000 events of 2 kB went through in each round; a store that kept them would grow by 4 MB each time.
    assert max(sizes) <= sizes[1] * 1.2
    # The newest change and what it replaced stay, for watches that resume there.
    assert await store._reader.run(lambda connection: connection.execute("SELECT count(*) FROM log").fetchone()) == (2,)


async def test_space_goes_back_to_the_file_system(path: Path) -> None:
    store = await SqliteStore.open(path)
    created = await asyncio.gather(*(store.create(f"/k/{number}", b"x" * 3500) for number in range(4000)))
    await store.close()
    full = path.stat().st_size
    store = await SqliteStore.open(path)
    await asyncio.gather(*(store.delete(f"/k/{number}", at) for number, at in enumerate(created)))
    await store.compact(store.revision)
    await store.close()
    assert full > 16_000_000
    assert path.stat().st_size < 5_000_000


async def test_a_compaction_cut_short_is_finished_by_the_next(store: SqliteStore) -> None:
    revision = await store.create("/hot", b"")
    for count in range(1200):
        revision = await store.update("/hot", str(count).encode(), revision)
    compacting = asyncio.create_task(store.compact(revision))
    await asyncio.sleep(0)
    compacting.cancel()
    await asyncio.gather(compacting, return_exceptions=True)
    assert compacting.cancelled()
    await store.create("/other", b"")
    await store.compact(store.revision)
    rows = await store._reader.run(lambda connection: connection.execute("SELECT count(*) FROM log").fetchone())
    assert rows == (2,)


async def test_many_watchers_catch_up_from_the_log(store: SqliteStore) -> None:
    created = await asyncio.gather(*(store.create(f"/k/{number:04}", b"") for number in range(500)))
    deleted = await store.delete("/k/0000", created[0])
    seen: list[Entry] = []
    async for batch in store.watch("/k/", 0):
        seen.extend(batch)
        if len(seen) == 501:
            break
    assert [entry.record.revision for entry in seen] == list(range(1, deleted + 1))
    assert seen[-1].change is Change.DELETE


FAILING_DISK = """
import asyncio, resource, sys
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import StoreClosed

async def main():
    store = await SqliteStore.open(sys.argv[1])
    watch = store.watch("/", 0)
    following = asyncio.ensure_future(anext(watch))
    acknowledged = 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    failures = []
    while not failures:
        writes = [store.create(f"/k/{acknowledged + n}", b"x" * 3000) for n in range(20)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        acknowledged += sum(isinstance(outcome, int) for outcome in outcomes)
        failures = [outcome for outcome in outcomes if not isinstance(outcome, int)]
    assert all(type(failure) is StoreClosed and failure.__cause__ is not None for failure in failures), failures
    for refused in (store.create("/late", b""), store.get("/k/0"), store.range("/"), store.compact(1)):
        try:
            await refused
        except StoreClosed as error:
            assert error.__cause__ is not None
        else:
            raise AssertionError("the store still answers")
    seen = len(await following)
    try:
        while True:
            seen += len(await anext(watch))
    except StoreClosed:
        pass
    assert seen == acknowledged == store.revision, (seen, acknowledged, store.revision)
    await store.close()
    print(acknowledged)

asyncio.run(main())
"""


async def test_a_disk_that_fails_acknowledges_nothing_and_loses_nothing(path: Path) -> None:
    """The kernel refuses to let files grow (RLIMIT_FSIZE), as a disk in trouble would."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", FAILING_DISK, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    acknowledged = int(done.stdout)
    assert acknowledged >= 20
    store = await SqliteStore.open(path)
    page = await store.range("/k/")
    assert {record.key for record in page.records} == {f"/k/{number}" for number in range(acknowledged)}
    assert store.revision == acknowledged
    await store.create("/late", b"")
    await store.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    if os.geteuid() != 0:
        pytest.skip("a file system of a chosen size needs root to be mounted")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounts.mount("tmpfs", folder, "tmpfs", 0, "size=4m")
    yield folder
    mounts.unmount_below(folder)


async def fill(store: SqliteStore) -> int:
    """Creates keys, twenty at a time, until there is no room. Returns how many were acknowledged."""
    acknowledged = number = 0
    while True:
        writes = [store.create(f"/k/{number + n}", b"x" * 3000) for n in range(20)]
        number += 20
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        acknowledged += sum(isinstance(outcome, int) for outcome in outcomes)
        refused = [outcome for outcome in outcomes if not isinstance(outcome, int)]
        if refused:
            assert {type(each) for each in refused} == {StoreFull}, refused
            return acknowledged


async def test_a_full_disk_refuses_writes_until_there_is_room(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(1 << 20))
    store = await SqliteStore.open(disk / "store.db")
    first = await store.create("/first", b"1")
    acknowledged = await fill(store)
    page = await store.range("/k/")
    assert len(page.records) == acknowledged
    assert await store.get("/first") == Record("/first", b"1", first, first)
    with pytest.raises(StoreFull, match=r"has no room: .*full"):
        await store.update("/first", b"2" * 9000, first)
    with pytest.raises(KeyExists):
        await store.create("/first", b"")
    (disk / "ballast").unlink()
    second = await store.update("/first", b"2", first)
    assert second > store.oldest + acknowledged
    await store.delete("/first", second)
    assert await store.create("/k/late", b"") == store.revision
    await store.close()
    again = await SqliteStore.open(disk / "store.db")
    assert len((await again.range("/k/")).records) == acknowledged + 1
    await again.close()


async def test_what_builds_on_a_refused_write_is_refused_with_it(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(2 << 20))
    store = await SqliteStore.open(disk / "store.db")
    kept, gone = await store.create("/kept", b"1"), await store.create("/gone", b"1")
    await fill(store)
    watch = store.watch("/", store.revision)
    following = asyncio.ensure_future(anext(watch))
    chain = [
        asyncio.ensure_future(each)
        for each in (
            store.update("/kept", b"2" * 100_000, kept),
            store.delete("/gone", gone),
            store.create("/gone", b"again" * 30_000),
            store.create("/new", b"n" * 100_000),
            store.create("/new", b"second"),
        )
    ]
    outcomes = await asyncio.wait_for(asyncio.gather(*chain, return_exceptions=True), 20)
    assert {type(outcome) for outcome in outcomes} == {StoreFull}, outcomes
    (disk / "ballast").unlink()
    assert await store.create("/new", b"n") == store.revision
    assert await store.update("/kept", b"2", kept) == store.revision
    assert await store.delete("/gone", gone) == store.revision
    seen = list(await following)
    while len(seen) < 3:
        seen.extend(await anext(watch))
    assert [(entry.change, entry.record.key) for entry in seen] == [
        (Change.CREATE, "/new"),
        (Change.UPDATE, "/kept"),
        (Change.DELETE, "/gone"),
    ]
    await store.close()


async def test_closing_leaves_one_file_and_no_thread(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.create("/a", b"")
    await store.range("/")
    await store.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["store.db", "store.db.lock"]
    descriptors = [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if _is_open(number)]
    assert not [target for target in descriptors if "store.db" in target]
    with pytest.raises(StoreClosed):
        await store.wait_for_revision(99)


def _is_open(number: str) -> bool:
    return Path(f"/proc/self/fd/{number}").is_symlink()
