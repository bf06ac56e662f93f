"""Reads off the event loop, each in one snapshot, on connections and threads of their own.

What a snapshot shows is durable: SQLite lets readers see a commit after its log was synchronised.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from podkeeper.storage.keys import first_key
from podkeeper.storage.sqlite.schema import open_reader
from podkeeper.storage.store import (
    Change,
    Entry,
    Page,
    Record,
    RevisionCompacted,
    RevisionInFuture,
    StoreClosed,
    StoreError,
)

T = TypeVar("T")
THREADS = 2
ENTRIES_AT_ONCE = 200
#: Greater than every text, as SQLite orders a BLOB after any TEXT.
PAST_EVERY_KEY = b""

NEWEST = """
    SELECT max(revision) AS revision, created FROM log
    WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key HAVING created > 0 ORDER BY key
"""
RECORDS = f"""
    SELECT log.key, log.value, log.revision, log.created
    FROM (SELECT revision FROM ({NEWEST}) LIMIT ?) AS newest CROSS JOIN log ON log.revision = newest.revision
"""  # noqa: S608 - constants alone
COUNT = f"SELECT count(*) FROM ({NEWEST})"  # noqa: S608 - constants alone
RECORD = "SELECT value, revision, created FROM log WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1"
ENTRIES = """
    SELECT log.revision, log.key, log.created, log.value, before.revision, before.created, before.value
    FROM log LEFT JOIN log AS before ON before.revision = log.previous
    WHERE log.revision > ? AND log.revision <= ? AND +log.key >= ? AND +log.key < ?
    ORDER BY log.revision LIMIT ?
"""


class Span(Struct, frozen=True):
    """A range of keys: from ``first`` on, and below ``end``."""

    first: str
    end: str | bytes


def span(prefix: str, after: str = "") -> Span:
    """The keys under ``prefix`` that are greater than ``after``."""
    return Span(first_key(prefix, after), _prefix_end(prefix))


class Reader:
    """Runs reads in threads. ``close`` waits for those under way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(THREADS, "store-reader")
        self._closed = False

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """The outcome of ``read`` in a snapshot of the database. Raises StoreClosed, or StoreError from SQLite's."""
        if self._closed:
            raise StoreClosed("the store was closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)

    async def close(self) -> None:
        """Waits for reads under way, then frees threads and connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with _snapshot(self._connection()) as connection:
                return read(connection)
        except sqlite3.Error as error:
            raise StoreError(f"reading the store {self._path} failed: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_reader(self._path)
            self._connections.append(connection)
        return connection


def read_record(connection: sqlite3.Connection, key: str, revision: int) -> Record | None:
    """The record of ``key`` as of ``revision`` (0: now)."""
    at = _check(connection, revision)
    found = connection.execute(RECORD, (key, at)).fetchone()
    if found is None or not found[2]:
        return None
    return Record(key, *found)


def read_page(connection: sqlite3.Connection, keys: Span, limit: int, revision: int, known: int | None = None) -> Page:
    """Records in key order as of ``revision`` (0: now), at most ``limit`` (0: all); ``known`` is how many there are."""
    at = _check(connection, revision)
    rows = connection.execute(RECORDS, (keys.first, keys.end, at, limit or -1)).fetchall()
    records = sorted((Record(*row) for row in rows), key=lambda record: record.key)
    remaining = max(0, (known or 0) - len(records))
    if known is None and limit and len(records) == limit:
        (remaining,) = connection.execute(COUNT, (records[-1].key + "\0", keys.end, at)).fetchone()
    return Page(records, at, remaining)


def read_entries(connection: sqlite3.Connection, keys: Span, after: int, until: int) -> list[Entry]:
    """The first entries with a revision in ``(after, until]``; fewer than ENTRIES_AT_ONCE when there are no more."""
    _, oldest = _bounds(connection)
    if after + 1 < oldest:
        raise RevisionCompacted(after + 1, oldest)
    rows = connection.execute(ENTRIES, (after, until, keys.first, keys.end, ENTRIES_AT_ONCE))
    return [_entry(*row) for row in rows]


def read_heads(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """For every present key the revisions of its last change and of its creation."""
    rows = connection.execute("SELECT key, max(revision), created FROM log GROUP BY key HAVING created > 0")
    return {key: (revision, created) for key, revision, created in rows}


def read_bounds(connection: sqlite3.Connection) -> tuple[int, int]:
    """The newest and the oldest readable revision."""
    return _bounds(connection)


def _entry(
    revision: int, key: str, created: int, value: bytes, before: int | None, before_created: int, before_value: bytes
) -> Entry:
    if before is None:
        return Entry(Change.CREATE, Record(key, value, revision, created), None)
    previous = Record(key, before_value, before, before_created)
    if created:
        return Entry(Change.UPDATE, Record(key, value, revision, created), previous)
    return Entry(Change.DELETE, Record(key, before_value, revision, before_created), previous)


def _bounds(connection: sqlite3.Connection) -> tuple[int, int]:
    newest, oldest = connection.execute(
        "SELECT (SELECT max(revision) FROM log), (SELECT value FROM meta WHERE name = 'oldest')"
    ).fetchone()
    return newest or 0, oldest


def _check(connection: sqlite3.Connection, revision: int) -> int:
    """The revision to read at. The snapshot decides what is too old or yet to come, not the event loop's view."""
    newest, oldest = _bounds(connection)
    if revision and revision < oldest:
        raise RevisionCompacted(revision, oldest)
    if revision > newest:
        raise RevisionInFuture(revision, newest)
    return revision or newest


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


def _prefix_end(prefix: str) -> str | bytes:
    """The smallest bound above every key that starts with ``prefix``."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return PAST_EVERY_KEY
    following = ord(stem[-1]) + 1
    # Surrogates are no text: SQLite cannot hold them.
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)
