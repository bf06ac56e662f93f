"""Kills a process that writes to a SqliteStore, again and again, and looks at what it had acknowledged.

The child prints a line for each acknowledged write after the store returned from it; the kill comes at a random moment.
What was printed must be there afterwards, no revision may be given out twice, and a watch resumed from any printed
revision must see every later change.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import Change, Entry

KILLS = 60
LONGEST_LIFE = 0.06  # seconds after the first acknowledgement

CHILD = """
import asyncio, os, sys
from podkeeper.storage.sqlite import SqliteStore

async def main(path, life):
    store = await SqliteStore.open(path)

    def say(what, key, revision, token):
        os.write(1, f"{what} {key} {revision} {token}\\n".encode())

    async def write(number):
        key = f"/k/{number}"
        record = await store.get(key)
        revision = record.revision if record else 0
        for turn in range(1_000_000):
            token = f"{life}.{number}.{turn}"
            value = token.encode() * 50
            if not revision:
                revision = await store.create(key, value)
                say("put", key, revision, token)
            elif turn % 7 == 6:
                say("del", key, await store.delete(key, revision), token)
                revision = 0
            else:
                revision = await store.update(key, value, revision)
                say("put", key, revision, token)

    async def compact():
        while True:
            if store.revision > 100:
                await store.compact(store.revision - 100)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(compact())
        for number in range(20):
            tasks.create_task(write(number))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@dataclass(frozen=True)
class Written:
    """One printed line."""

    what: str
    revision: int
    value: bytes


@dataclass
class Acknowledged:
    """What was printed: the newest change per key, and every revision ever."""

    newest: dict[str, Written] = field(default_factory=dict)
    revisions: set[int] = field(default_factory=set)

    def read(self, lines: list[bytes]) -> int:
        """Takes the lines of one life; the smallest revision in it."""
        smallest = sys.maxsize
        for line in lines:
            what, key, revision, token = line.decode().split()
            written = Written(what, int(revision), token.encode() * 50)
            assert written.revision not in self.revisions, f"revision {revision} was given out twice"
            self.revisions.add(written.revision)
            smallest = min(smallest, written.revision)
            if key not in self.newest or written.revision > self.newest[key].revision:
                self.newest[key] = written
        return smallest


def live_and_die(path: Path, life: int, chance: random.Random) -> list[bytes]:
    """One child from start to kill; its complete lines."""
    reading, writing = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(life)], stdout=writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            first = pipe.readline()
            assert not ends_within(child, chance.uniform(0, LONGEST_LIFE)), "the child ended by itself"
            child.send_signal(signal.SIGKILL)
            text = first + pipe.read()
    finally:
        child.kill()
        child.wait()
    return text.splitlines() if text.endswith(b"\n") else text.splitlines()[:-1]


def ends_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Waits; whether the child ended meanwhile."""
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


async def look(path: Path, acknowledged: Acknowledged, before: int) -> int:
    """Checks the store after a kill; its revision."""
    store = await SqliteStore.open(path)
    try:
        assert store.revision >= max(acknowledged.revisions, default=0)
        present = {record.key: record for record in (await store.range("/k/")).records}
        for key, written in acknowledged.newest.items():
            found = present.get(key)
            if found is None:
                gone = written.what == "del" or await deleted_after(store, key, written.revision)
                assert gone, f"{key} at revision {written.revision} is lost"
            elif found.revision == written.revision:
                assert (written.what, written.value) == ("put", found.value)
            else:
                assert found.revision > written.revision, f"{key} went back to {found.revision} from {written}"
        await assert_watch_has_no_gap(store, max(before, store.oldest - 1), acknowledged)
        return store.revision
    finally:
        await store.close()


async def entries_after(store: SqliteStore, after: int) -> list[Entry]:
    """The whole log after ``after``; the store is quiet."""
    entries: list[Entry] = []
    if after < store.revision:
        watch = store.watch("", after)
        while not entries or entries[-1].record.revision < store.revision:
            entries.extend(await anext(watch))
        await watch.aclose()  # type: ignore[attr-defined]
    return entries


async def deleted_after(store: SqliteStore, key: str, revision: int) -> bool:
    """Whether the log shows a deletion of ``key`` later than ``revision``, which was not acknowledged any more."""
    entries = await entries_after(store, max(revision, store.oldest - 1))
    return any(entry.record.key == key and entry.change is Change.DELETE for entry in entries)


async def assert_watch_has_no_gap(store: SqliteStore, after: int, acknowledged: Acknowledged) -> None:
    seen = [entry.record.revision for entry in await entries_after(store, after)]
    assert seen == list(range(after + 1, store.revision + 1))
    assert {revision for revision in acknowledged.revisions if revision > after} <= set(seen)


async def test_every_acknowledged_write_survives_sigkill(tmp_path: Path) -> None:
    path, chance = tmp_path / "store.db", random.Random(20)
    acknowledged, revision, writes = Acknowledged(), 0, 0
    for life in range(KILLS):
        lines = await asyncio.to_thread(live_and_die, path, life, chance)
        smallest = acknowledged.read(lines)
        assert smallest > revision, f"revision {smallest} was given out although {revision} was in the store"
        now = await look(path, acknowledged, revision)
        assert now >= revision
        revision, writes = now, writes + len(lines)
    assert writes > KILLS * 10
