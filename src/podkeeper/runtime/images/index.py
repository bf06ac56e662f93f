"""What this node has: images, their names, layers and snapshots, in one small SQLite database.

Several processes share it (the node process, and a command that imports or builds): each change is one transaction,
and a reader sees the others' changes at once. A power cut may lose the last changes, never the database's consistency;
``make_durable`` is called once an image is complete.

    names (repo:tag, repo@digest) --> images --> image_layers --> layers (a directory each, by number)
                                         ^-- snapshots (in use)
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.runtime.failures import RuntimeFailure

Row = tuple[Any, ...]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
  id TEXT PRIMARY KEY, config BLOB NOT NULL, size INTEGER NOT NULL, pinned INTEGER NOT NULL DEFAULT 0,
  used_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
  name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images ON DELETE CASCADE, local INTEGER NOT NULL
  ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS names_of_image ON names (image);
CREATE TABLE IF NOT EXISTS layers (
  number INTEGER PRIMARY KEY AUTOINCREMENT, chain TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
  inodes INTEGER NOT NULL, blob_size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS image_layers (
  image TEXT NOT NULL REFERENCES images ON DELETE CASCADE, position INTEGER NOT NULL,
  layer INTEGER NOT NULL REFERENCES layers, PRIMARY KEY (image, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_of_layer ON image_layers (layer);
CREATE TABLE IF NOT EXISTS snapshots (id TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS snapshots_of_image ON snapshots (image);
CREATE TABLE IF NOT EXISTS build_steps (
  key TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images ON DELETE CASCADE) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS steps_of_image ON build_steps (image);
"""
_SELECT_IMAGES = (
    "SELECT id, size, pinned, used_at, EXISTS (SELECT 1 FROM snapshots WHERE image = images.id),"
    " EXISTS (SELECT 1 FROM build_steps WHERE image = images.id) FROM images"
)


class Layer(Struct, frozen=True):
    """An unpacked layer. ``number`` names its directory; ``size`` and ``blob_size`` are bytes on disk and as sent."""

    number: int
    chain_id: str
    size: int
    inodes: int
    blob_size: int


class ImageRecord(Struct, frozen=True):
    """An image. ``used_at`` is when a snapshot of it was last made or removed, in seconds since the epoch.

    ``step`` images are those that a build keeps for its next run and that nobody has named.
    """

    id: str
    size: int
    pinned: bool
    used_at: int
    names: tuple[str, ...]
    local_names: frozenset[str]
    in_use: bool
    step: bool


class IndexFailure(RuntimeFailure):
    """The database cannot be read or written: the disk is full, or worse."""


class InUse(Exception):
    """The image has snapshots."""


class Index:
    """The database. Methods are short and may be called from any thread. All raise IndexFailure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._durable = 0
        self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        with self._held() as db:
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-512"):
                db.execute(f"PRAGMA {pragma}")
        with self._transaction() as db:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)

    def close(self) -> None:
        """Lets go of the file. Safe to call twice."""
        self._db.close()

    def make_durable(self) -> None:
        """Waits until everything so far is on the disk."""
        with self._held() as db:
            if db.total_changes != self._durable:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._durable = db.total_changes

    # Images and names.

    def resolve(self, name: str) -> tuple[str, bool] | None:
        """The id of the image of that name (``repo:tag`` or ``repo@digest``) and whether it was made here."""
        row = self._one("SELECT image, local FROM names WHERE name = ?", name)
        return (row[0], bool(row[1])) if row else None

    def config(self, image_id: str) -> bytes | None:
        """The configuration document of an image; None when it is not here."""
        row = self._one("SELECT config FROM images WHERE id = ?", image_id)
        return row[0] if row else None

    def image(self, image_id: str) -> ImageRecord | None:
        """One image; None when it is not here."""
        return next(iter(self._images("WHERE id = ?", image_id)), None)

    def images(self) -> list[ImageRecord]:
        """Every image, build steps among them, ordered by id."""
        return self._images("ORDER BY id")

    def add_image(self, image_id: str, config: bytes, size: int, layers: Sequence[Layer], now: int) -> None:
        """Registers an image over layers that are registered. Nothing happens when it is there."""
        with self._transaction() as db:
            added = db.execute(
                "INSERT INTO images (id, config, size, used_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (image_id, config, size, now),
            ).rowcount
            if added:
                rows = [(image_id, position, layer.number) for position, layer in enumerate(layers)]
                db.executemany("INSERT INTO image_layers VALUES (?, ?, ?)", rows)

    def set_name(self, name: str, image_id: str, *, local: bool) -> None:
        """Makes ``name`` mean that image, whatever it meant before."""
        if self.resolve(name) == (image_id, local):
            return
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO names VALUES (?, ?, ?)", (name, image_id, local))

    def remove_name(self, name: str) -> None:
        """Forgets a name; the image stays."""
        with self._transaction() as db:
            db.execute("DELETE FROM names WHERE name = ?", (name,))

    def remove_image(self, image_id: str) -> None:
        """Forgets an image with its names. Raises InUse."""
        try:
            with self._transaction() as db:
                db.execute("DELETE FROM images WHERE id = ?", (image_id,))
        except sqlite3.IntegrityError as error:
            raise InUse(image_id) from error

    def pin(self, image_id: str, pinned: bool) -> None:
        """Exempts an image from collection, or no longer."""
        with self._transaction() as db:
            db.execute("UPDATE images SET pinned = ? WHERE id = ?", (pinned, image_id))

    # Layers.

    def layer(self, chain_id: str) -> Layer | None:
        """The layer of that identity; None when it is not unpacked here."""
        row = self._one("SELECT number, chain, size, inodes, blob_size FROM layers WHERE chain = ?", chain_id)
        return Layer(*row) if row else None

    def layers_of(self, image_id: str) -> list[Layer]:
        """The layers of an image, lowest first."""
        return [
            Layer(*row)
            for row in self._all(
                "SELECT number, chain, layers.size, inodes, blob_size FROM image_layers"
                " JOIN layers ON number = layer WHERE image = ? ORDER BY position",
                image_id,
            )
        ]

    def layer_sizes(self) -> dict[int, int]:
        """Layer number -> bytes."""
        return dict(self._all("SELECT number, size FROM layers"))

    def image_layers(self) -> dict[str, frozenset[int]]:
        """Image -> the numbers of its layers."""
        found: dict[str, set[int]] = {}
        for image_id, number in self._all("SELECT image, layer FROM image_layers"):
            found.setdefault(image_id, set()).add(number)
        return {image_id: frozenset(numbers) for image_id, numbers in found.items()}

    def add_layer(self, layer: Layer, place: Callable[[int], None]) -> Layer:
        """Registers a layer (its ``number`` is given here) once ``place`` has put its directory where that number says.

        When another process was quicker, that one's layer is returned and ``place`` is not called.
        """
        with self._transaction() as db:
            number = db.execute(
                "INSERT INTO layers (chain, size, inodes, blob_size) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING RETURNING number",
                (layer.chain_id, layer.size, layer.inodes, layer.blob_size),
            ).fetchone()
            if number:
                place(number[0])
        found = self.layer(layer.chain_id)
        assert found is not None
        return found

    def remove_unused_layers(self) -> list[int]:
        """Forgets layers that no image has and returns their numbers. Needs the gate alone."""
        with self._transaction() as db:
            rows = db.execute(
                "DELETE FROM layers WHERE number NOT IN (SELECT layer FROM image_layers) RETURNING number"
            ).fetchall()
            return [row[0] for row in rows]

    def layer_totals(self) -> tuple[int, int]:
        """Bytes and inodes of all layers."""
        row = self._one("SELECT COALESCE(SUM(size), 0), COALESCE(SUM(inodes), 0) FROM layers")
        assert row is not None
        return row[0], row[1]

    def layer_numbers(self) -> set[int]:
        """The numbers of all layers."""
        return {row[0] for row in self._all("SELECT number FROM layers")}

    # Snapshots.

    def add_snapshot(self, snapshot_id: str, image_id: str, now: int) -> bool:
        """Marks an image as in use. False when the image is not here, KeyError when the snapshot is."""
        with self._transaction() as db:
            if not db.execute("UPDATE images SET used_at = ? WHERE id = ?", (now, image_id)).rowcount:
                return False
            done = db.execute(
                "INSERT INTO snapshots VALUES (?, ?) ON CONFLICT DO NOTHING", (snapshot_id, image_id)
            ).rowcount
            if not done:
                raise KeyError(snapshot_id)
            return True

    def snapshot_image(self, snapshot_id: str) -> str:
        """The image of a snapshot; empty when there is none of that name."""
        row = self._one("SELECT image FROM snapshots WHERE id = ?", snapshot_id)
        return str(row[0]) if row else ""

    def snapshots(self) -> dict[str, str]:
        """Snapshot -> image."""
        return dict(self._all("SELECT id, image FROM snapshots"))

    def remove_snapshot(self, snapshot_id: str, now: int) -> None:
        """Ends the use. Nothing happens when there is none."""
        with self._transaction() as db:
            db.execute(
                "UPDATE images SET used_at = ? WHERE id = (SELECT image FROM snapshots WHERE id = ?)",
                (now, snapshot_id),
            )
            db.execute("DELETE FROM snapshots WHERE id = ?", (snapshot_id,))

    # Build steps.

    def step(self, key: str) -> str:
        """The image that a build step of that key made; empty when it is not known."""
        row = self._one("SELECT image FROM build_steps WHERE key = ?", key)
        return str(row[0]) if row else ""

    def add_step(self, key: str, image_id: str) -> None:
        """Remembers the outcome of a build step."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO build_steps VALUES (?, ?)", (key, image_id))

    def _images(self, clause: str, *values: str) -> list[ImageRecord]:
        with self._held() as db:
            rows = db.execute(f"{_SELECT_IMAGES} {clause}", values).fetchall()
            found = []
            for image_id, size, pinned, used_at, in_use, step in rows:
                names = db.execute(
                    "SELECT name, local FROM names WHERE image = ? ORDER BY name", (image_id,)
                ).fetchall()
                record = ImageRecord(
                    image_id,
                    size,
                    bool(pinned),
                    used_at,
                    tuple(name for name, _ in names),
                    frozenset(name for name, local in names if local),
                    bool(in_use),
                    bool(step) and not names,
                )
                found.append(record)
            return found

    def _one(self, query: str, *values: str) -> Row | None:
        with self._held() as db:
            row: Row | None = db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, *values: str) -> list[Row]:
        with self._held() as db:
            return db.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._held() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._db
        except sqlite3.IntegrityError:
            raise  # who breaks a rule on purpose knows which
        except sqlite3.Error as error:
            raise IndexFailure(f"the image index {self._path}: {error}") from error
