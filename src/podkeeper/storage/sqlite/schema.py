"""The database file: who may open it, its tables, its settings.

``log`` holds one row per change. ``created`` is the revision that created the key, and 0 in the row of a deletion;
``previous`` is the key's revision before this one, and 0 in the row of a creation. The index alone answers which
revision of a key was the newest at some time, and whether that was a deletion.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from podkeeper.storage.sqlite.wal import refuse_emptied, refuse_unreachable
from podkeeper.storage.store import StoreError

APPLICATION_ID = 0x506F646B  # "Podk", in the header of the file
SCHEMA_VERSION = 1
PAGE_BYTES = 8192  # two objects of the usual size; small enough for commits of one
CHECKPOINT_PAGES = 1000  # moved from the write-ahead log into the file by the commit that exceeds them
WAL_KEPT_BYTES = 16 << 20

TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    value BLOB
);
CREATE INDEX log_by_key ON log (key, revision, created);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('oldest', 1), ('compacted', 0);
"""


class SchemaUnsupported(StoreError):
    """The file is not a store of ours, or one that a newer podkeeper wrote."""


class DatabaseLocked(StoreError):
    """Another process has the store open."""


def lock(path: Path) -> int:
    """Claims the store for this process; closing the returned descriptor (or dying) gives it up.

    It is a file of its own: the locks of SQLite on the database would be lost when any descriptor of it is closed.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DatabaseLocked(f"the store {path} is in use by another process; stop that one first") from error
    return descriptor


def open_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes; makes the file and its tables where there are none.

    Raises SchemaUnsupported, StoreDamaged.
    """
    refuse_emptied(path)
    refuse_unreachable(path)
    # Made by hand so that the file, and the log and index beside it, are never readable by others.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _verify(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _verify(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        raise SchemaUnsupported(f"{path} is not a podkeeper store: {error}") from error
    if not tables and not version:
        _create(connection)
    elif application != APPLICATION_ID:
        raise SchemaUnsupported(f"{path} is not a podkeeper store: its application id is {application:#x}")
    elif version > SCHEMA_VERSION:
        raise SchemaUnsupported(
            f"{path} has schema version {version}, this podkeeper knows up to {SCHEMA_VERSION}: use a newer podkeeper"
        )


def _create(connection: sqlite3.Connection) -> None:
    # All three must be set before the first page is written.
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )
