"""Random histories of every store engine against a model: a list of entries and nothing else."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
)

T = TypeVar("T")
SHARED_MEMORY = Path("/dev/shm")  # where fsync costs nothing

keys = st.sampled_from(["/a", "/a/1", "/a/2", "/a/é", "/b/1", "/b/10", "/b/2", "/b/\U00010000"])
prefixes = st.sampled_from(["", "/", "/a", "/a/", "/b/", "/b/1", "/c/"])
values = st.binary(max_size=8)


class Model:
    """The contract in its plainest form."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.oldest = 1

    @property
    def revision(self) -> int:
        return self.entries[-1].record.revision if self.entries else 0

    def view(self, revision: int) -> dict[str, Record]:
        """Every record as of ``revision``."""
        view: dict[str, Record] = {}
        for entry in self.entries:
            if entry.record.revision > revision:
                break
            if entry.change is Change.DELETE:
                del view[entry.record.key]
            else:
                view[entry.record.key] = entry.record
        return view

    def append(self, change: Change, key: str, value: bytes, revision: int) -> None:
        previous = self.view(self.revision).get(key)
        created = previous.created if previous else revision
        kept = previous.value if previous and change is Change.DELETE else value
        self.entries.append(Entry(change, Record(key, kept, revision, created), previous))


class StoreHistory(RuleBasedStateMachine):
    """Every answer of the store is the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.store: Store

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()

    @rule(key=keys, value=values)
    def create(self, key: str, value: bytes) -> None:
        current = self.model.view(self.model.revision).get(key)
        if current:
            with pytest.raises(KeyExists) as failure:
                self.run(self.store.create(key, value))
            assert failure.value.current == current
        else:
            self.model.append(Change.CREATE, key, value, self.run(self.store.create(key, value)))

    @rule(key=keys, value=values, stale=st.integers(0, 2), delete=st.booleans())
    def change(self, key: str, value: bytes, stale: int, delete: bool) -> None:
        current = self.model.view(self.model.revision).get(key)
        expected = (current.revision if current else 0) + stale
        write = self.store.delete(key, expected) if delete else self.store.update(key, value, expected)
        if current is None or stale:
            with pytest.raises(RevisionMismatch) as failure:
                self.run(write)
            assert failure.value.current == current
        else:
            self.model.append(Change.DELETE if delete else Change.UPDATE, key, value, self.run(write))

    @rule(count=st.integers(2, 6), value=values)
    def write_together(self, count: int, value: bytes) -> None:
        """Concurrent creations and deletions of keys of their own, which may share one commit."""

        async def write(key: str) -> list[Entry]:
            created = await self.store.create(key, value)
            deleted = await self.store.delete(key, created)
            one = Record(key, value, created, created)
            gone = Record(key, value, deleted, created)
            return [Entry(Change.CREATE, one, None), Entry(Change.DELETE, gone, one)]

        async def write_all() -> list[list[Entry]]:
            return await asyncio.gather(*(write(f"/t/{number}") for number in range(count)))

        entries = [entry for pair in self.run(write_all()) for entry in pair]
        entries.sort(key=lambda entry: entry.record.revision)
        assert entries[0].record.revision > self.model.revision
        self.model.entries += entries

    @rule(prefix=prefixes, data=st.data(), limit=st.integers(0, 4), after=st.one_of(st.just(""), keys))
    def read_range(self, prefix: str, data: st.DataObject, limit: int, after: str) -> None:
        revision = data.draw(st.integers(0, self.model.revision + 1))
        read = self.store.range(prefix, after=after, limit=limit, revision=revision)
        if revision and not self.readable(revision):
            with pytest.raises((RevisionCompacted, RevisionInFuture)):
                self.run(read)
            return
        view = self.model.view(revision or self.model.revision)
        found = [view[key] for key in sorted(view, key=str.encode) if key.startswith(prefix) and key > after]
        page = self.run(read)
        assert list(page.records) == (found[:limit] if limit else found)
        assert page.remaining == len(found) - len(page.records)
        assert page.revision == (revision or self.model.revision)

    @rule(key=keys, data=st.data())
    def read_one(self, key: str, data: st.DataObject) -> None:
        revision = data.draw(st.integers(0, self.model.revision + 1))
        if revision and not self.readable(revision):
            with pytest.raises((RevisionCompacted, RevisionInFuture)):
                self.run(self.store.get(key, revision))
        else:
            expected = self.model.view(revision or self.model.revision).get(key)
            assert self.run(self.store.get(key, revision)) == expected

    @precondition(lambda self: self.model.entries)
    @rule(prefix=prefixes, data=st.data())
    def watch(self, prefix: str, data: st.DataObject) -> None:
        after = data.draw(st.integers(0, self.model.revision))
        entries = [
            entry
            for entry in self.model.entries
            if entry.record.revision > after and entry.record.key.startswith(prefix)
        ]

        async def follow() -> list[Entry]:
            seen: list[Entry] = []
            async with asyncio.timeout(20):
                watch = self.store.watch(prefix, after)
                while len(seen) < len(entries) or not seen:
                    seen.extend(await anext(watch))
                await watch.aclose()  # type: ignore[attr-defined]
            return seen

        if after + 1 < self.model.oldest:
            with pytest.raises(RevisionCompacted):
                self.run(follow())
        elif entries:
            assert self.run(follow()) == entries

    @precondition(lambda self: self.model.entries)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(1, self.model.revision))
        self.run(self.store.compact(revision))
        self.model.oldest = max(self.model.oldest, revision)

    @invariant()
    def bounds_agree(self) -> None:
        if hasattr(self, "store"):
            assert (self.store.revision, self.store.oldest) == (self.model.revision, self.model.oldest)

    def readable(self, revision: int) -> bool:
        return self.model.oldest <= revision <= self.model.revision


class MemoryHistory(StoreHistory):
    @initialize()
    def open(self) -> None:
        self.store = MemoryStore()


class SqliteHistory(StoreHistory):
    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None))
        self.store = self.run(SqliteStore.open(self.directory / "store.db"))

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.run(SqliteStore.open(self.directory / "store.db"))

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.directory)


TestMemoryHistory = MemoryHistory.TestCase
TestSqliteHistory = SqliteHistory.TestCase
TestMemoryHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSqliteHistory.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
