"""Appending to the log: what one commit of a group of writes does. Runs on the writer thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache

from msgspec import Struct

from podkeeper.storage.store import Change, Entry, Record

#: revision, key, created (0: deletion), previous (0: creation), value
Row = tuple[int, str, int, int, bytes | None]

#: Rows of one statement. Each step of SQLite gives up the interpreter lock and must win it back, which takes up to 5 ms
#: while the event loop is busy: most groups are one statement, which is a transaction by itself.
MOST_ROWS = 64
LOOKUP_SIZE = 100


class Write(Struct):
    """One planned change. ``record`` is what the key holds afterwards, None for a deletion.

    ``previous`` is the revision of what it replaces and ``before`` that record; the commit looks it up if memory no
    longer holds it.
    """

    change: Change
    key: str
    revision: int
    created: int
    record: Record | None
    previous: int
    before: Record | None

    def row(self) -> Row:
        """The change as a row of the log."""
        if self.record is None:
            return (self.revision, self.key, 0, self.previous, None)
        return (self.revision, self.key, self.created, self.previous, self.record.value)

    def entry(self) -> Entry:
        """The change as watchers see it."""
        if self.record is not None:
            return Entry(self.change, self.record, self.before)
        assert self.before is not None, f"what the deletion at {self.revision} removed was not looked up"
        return Entry(self.change, Record(self.key, self.before.value, self.revision, self.created), self.before)


def commit(connection: sqlite3.Connection, group: Sequence[Write]) -> None:
    """Appends the group durably, and looks up the replaced values that its writes still lack."""
    rows = [write.row() for write in group]
    if len(rows) <= MOST_ROWS:
        _insert(connection, rows)
    else:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for start in range(0, len(rows), MOST_ROWS):
                _insert(connection, rows[start : start + MOST_ROWS])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    _look_up_replaced(connection, [write for write in group if write.previous and write.before is None])


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.execute(_statement(len(rows)), [column for row in rows for column in row])


@cache
def _statement(rows: int) -> str:
    return "INSERT INTO log VALUES " + ",".join(["(?,?,?,?,?)"] * rows)  # noqa: S608 - marks alone


def _look_up_replaced(connection: sqlite3.Connection, writes: Sequence[Write]) -> None:
    for start in range(0, len(writes), LOOKUP_SIZE):
        part = writes[start : start + LOOKUP_SIZE]
        marks = ",".join("?" * len(part))
        found = dict(
            connection.execute(
                f"SELECT revision, value FROM log WHERE revision IN ({marks})",  # noqa: S608 - marks alone
                [write.previous for write in part],
            )
        )
        for write in part:
            write.before = Record(write.key, found[write.previous], write.previous, write.created)
