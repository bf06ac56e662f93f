"""Forgetting history, in small commits on the writer thread between the groups of writers.

``oldest`` is recorded first, so that nobody reads what is about to go. Then every log row up to it names the row that
it superseded, and that one is deleted: the work is proportional to what changed, not to what is stored. The rows that
a watch from ``oldest`` on needs (the change itself and what it replaced) are kept. ``compacted`` records the progress,
which a restart continues.
"""

from __future__ import annotations

import sqlite3

REVISIONS_PER_STEP = 250
PAGES_PER_STEP = 500
#: Free pages up to this share of the file (and this many) are kept for reuse; the rest goes back to the file system.
FREE_SHARE, FREE_PAGES = 4, 500


def begin(connection: sqlite3.Connection, oldest: int) -> None:
    """Refuses reads before ``oldest`` from now on."""
    connection.execute("UPDATE meta SET value = max(value, ?) WHERE name = 'oldest'", (oldest,))


def step(connection: sqlite3.Connection) -> bool:
    """Deletes what a few hundred revisions superseded; True when there is more to do."""
    done, oldest = _number(connection, "compacted"), _number(connection, "oldest")
    until = min(done + REVISIONS_PER_STEP, oldest - 1)
    if until <= done:
        return False
    part = (done, until)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE revision > ? AND revision <= ?)", part
        )
        connection.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND created = 0", part)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'compacted'", (until,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return until < oldest - 1


def vacuum_step(connection: sqlite3.Connection) -> bool:
    """Gives some free pages back to the file system; True when there are more than are worth keeping."""
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    surplus = free - max(FREE_PAGES, pages // FREE_SHARE)
    if surplus <= 0:
        return False
    # ``execute`` would free one page: it takes one step of a statement without columns, and each step frees one.
    connection.executescript(f"PRAGMA incremental_vacuum({min(surplus, PAGES_PER_STEP)})")
    return surplus > PAGES_PER_STEP


def _number(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0]
    return value
