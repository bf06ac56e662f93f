"""Appending to the log: what one commit of a group of writes does. Runs on the writer thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from podkeeper.storage.store import Change, Record

#: revision, key, created (0: deletion), previous (0: creation), value
Row = tuple[int, str, int, int, bytes | None]

# One statement for many rows: each step of SQLite gives up the interpreter lock and must win it back, which takes up to
# 5 ms while the event loop is busy.
INSERT = "INSERT INTO log VALUES "
INSERTS = [(size, INSERT + ",".join(["(?,?,?,?,?)"] * size)) for size in (64, 16, 4, 1)]
LOOKUP_SIZE = 100


@dataclass(slots=True)
class Write:
    """One planned change. ``previous`` is what it replaces; its value is None when memory no longer holds it."""

    change: Change
    key: str
    value: bytes | None
    revision: int
    created: int
    previous: int
    previous_value: bytes | None

    def row(self) -> Row:
        """The change as a row of the log."""
        deleted = self.change is Change.DELETE
        return (self.revision, self.key, 0 if deleted else self.created, self.previous, self.value)

    def before(self) -> Record | None:
        """The record that this change replaces."""
        if not self.previous:
            return None
        assert self.previous_value is not None, f"value of revision {self.previous} was not looked up"
        return Record(self.key, self.previous_value, self.previous, self.created)


def commit(connection: sqlite3.Connection, group: Sequence[Write]) -> None:
    """Appends the group durably, and looks up the replaced values that its writes still lack."""
    rows = [write.row() for write in group]
    if len(rows) == 1:
        connection.execute(INSERTS[-1][1], rows[0])
    else:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _insert(connection, rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    _look_up_replaced(connection, [write for write in group if write.previous and write.previous_value is None])


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    start = 0
    for size, statement in INSERTS:
        while len(rows) - start >= size:
            connection.execute(statement, [column for row in rows[start : start + size] for column in row])
            start += size


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
            write.previous_value = found[write.previous]
