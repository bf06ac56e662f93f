"""A store that hides values from the store behind it. Everybody in front of it sees plain ones: caches, watches, lists.

It stands between registry and store because that is the one place that all reads and writes pass; neither side knows.
What the configuration was when the store was last opened is kept in it, by names of keys, so that a store whose keys
are missing is refused by name, and history that only a retired key could read is compacted away first.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from msgspec.structs import replace

from podkeeper.api.resources import RESOURCES
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.watched_file import WatchedFile
from podkeeper.registry.encryption.ciphers import PLAIN, PREFIX, CannotDecrypt, Cipher, Keyring
from podkeeper.registry.encryption.configuration import Configuration, ConfigurationError, load
from podkeeper.registry.keys import prefixes_of
from podkeeper.storage.compaction import Compactable
from podkeeper.storage.store import Entry, KeyExists, Page, Record, RevisionMismatch, Store, StoreError

log = logging.getLogger(__name__)

#: Where the names of the ciphers in use are kept; no resource has this key.
MARK = "/encryption/ciphers"
_PAGE = 500


class Undecipherable(StoreError):
    """A value cannot be read with the keys that are configured."""


class Engine(Store, Compactable, Protocol):
    """What every engine has."""


class EncryptedStore:
    """Implements ``storage.store.Store`` over another. Made by ``open_encrypted``."""

    def __init__(self, inner: Engine, configuration: Configuration) -> None:
        self._inner = inner
        self._using: tuple[Configuration, ...] = (configuration,)  # the first writes; the others are on their way out
        self._keyrings: dict[str, Keyring] = {}

    def __repr__(self) -> str:
        return f"<EncryptedStore {sorted(self._using[0].names)} over {self._inner!r}>"

    @property
    def revision(self) -> int:
        """See Store."""
        return self._inner.revision

    @property
    def oldest(self) -> int:
        """See Store."""
        return self._inner.oldest

    @property
    def size(self) -> int:
        """See Store."""
        return self._inner.size

    async def create(self, key: str, value: bytes) -> int:
        """See Store."""
        try:
            return await self._inner.create(key, self._hide(key, value))
        except KeyExists as error:
            raise KeyExists(self._plain(error.current)) from error

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See Store."""
        try:
            return await self._inner.update(key, self._hide(key, value), expected)
        except RevisionMismatch as error:
            raise self._mismatch(error) from error

    async def delete(self, key: str, expected: int) -> int:
        """See Store."""
        try:
            return await self._inner.delete(key, expected)
        except RevisionMismatch as error:
            raise self._mismatch(error) from error

    async def get(self, key: str, revision: int = 0) -> Record | None:
        """See Store."""
        record = await self._inner.get(key, revision)
        return self._plain(record) if record is not None else None

    def newest(self, key: str) -> Record | None:
        """See Store."""
        record = self._inner.newest(key)
        return self._plain(record) if record is not None else None

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See Store."""
        page = await self._inner.range(prefix, after=after, limit=limit, revision=revision)
        return replace(page, records=[self._plain(record) for record in page.records])

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Entry]]:
        """See Store."""
        async with aclosing(cast(AsyncGenerator[Sequence[Entry]], self._inner.watch(prefix, after))) as batches:
            async for batch in batches:
                yield [self._plain_entry(entry) for entry in batch]

    async def compact(self, revision: int) -> None:
        """See Store."""
        await self._inner.compact(revision)

    async def wait_for_revision(self, revision: int) -> None:
        """See Compactable."""
        await self._inner.wait_for_revision(revision)

    async def wait_for_growth(self, size: int) -> None:
        """See Compactable."""
        await self._inner.wait_for_growth(size)

    async def close(self) -> None:
        """See Store."""
        await self._inner.close()

    async def use(self, configuration: Configuration) -> None:
        """Writes by this configuration from now on, and rewrites what is not as it would write it.

        Old keys go on reading until this process ends: history is in them."""
        await _mark(self._inner, configuration.names | (await _marked(self._inner) or frozenset()))
        self._using = (configuration, *self._using)
        self._keyrings.clear()
        await self.rewrite()

    async def rewrite(self) -> int:
        """Writes every value anew that is not as it would be written now; how many there were. Whoever watches sees
        them changed."""
        count = 0
        for record in await self.outdated():
            try:
                await self.update(record.key, self._plain(record).value, record.revision)
                count += 1
            except RevisionMismatch:
                continue  # somebody has just written it
        return count

    async def outdated(self) -> Sequence[Record]:
        """What is stored in another way than it would be written now, as it is stored. Raises Undecipherable where
        there is something that cannot be read at all."""
        found = []
        async for record in _records(self._inner):
            keyring = self._keyring(record.key)
            if self._cipher(record, keyring).name != keyring.writing.name:
                self._plain(record)
                found.append(record)
        return found

    async def follow(self, file: WatchedFile, clock: Clock) -> None:
        """Rewrites what is outdated, and obeys the file's changes, until cancelled. A file that cannot be used is
        logged, and what was goes on."""
        await self.rewrite()
        while True:
            await file.changed(clock)
            try:
                await self.use(load(file.path))
            except (ConfigurationError, Undecipherable) as error:
                log.error("the encryption configuration stays as it was: %s", error)
            else:
                log.info("values are encrypted with %s from now on", sorted(self._using[0].names))

    def _keyring(self, key: str) -> Keyring:
        core, grouped = prefixes_of(key)
        group = core.strip("/")
        prefix = grouped if group in _groups() or "." in group else core
        keyring = self._keyrings.get(prefix)
        if keyring is None:
            resource = prefix.strip("/").rpartition("/")
            chosen = PLAIN if key == MARK else self._using[0].keyring(resource[0], resource[2])
            keyring = self._keyrings[prefix] = chosen
        return keyring

    def _cipher(self, record: Record, keyring: Keyring) -> Cipher:
        for configuration in self._using:
            cipher = configuration.cipher_of(keyring, record.value)
            if cipher is not None:
                return cipher
        raise Undecipherable(f"the value of {record.key} cannot be read: no provider that is configured wrote it")

    def _hide(self, key: str, value: bytes) -> bytes:
        return self._keyring(key).encrypt(value, key.encode())

    def _plain(self, record: Record) -> Record:
        keyring = self._keyring(record.key)
        if keyring is PLAIN and not record.value.startswith(PREFIX):
            return record
        cipher = self._cipher(record, keyring)
        try:
            return replace(record, value=cipher.decrypt(record.value[len(cipher.prefix) :], record.key.encode()))
        except CannotDecrypt as error:
            raise Undecipherable(f"the value of {record.key} cannot be read: {error}") from None

    def _plain_entry(self, entry: Entry) -> Entry:
        record, previous = self._plain(entry.record), entry.previous
        if record is entry.record:
            return entry
        return replace(entry, record=record, previous=self._plain(previous) if previous is not None else None)

    def _mismatch(self, error: RevisionMismatch) -> RevisionMismatch:
        current = self._plain(error.current) if error.current is not None else None
        return RevisionMismatch(error.key, error.expected, current)


async def open_encrypted(inner: Engine, path: Path | None) -> EncryptedStore | None:
    """The store in front of ``inner`` as the file says; None where nothing is encrypted. Raises ConfigurationError for
    a file that cannot be used, Undecipherable where values are in keys that are not there."""
    marked = await _marked(inner)
    if path is None:
        if marked is not None:
            await _forget_encryption(inner)
        return None
    configuration = load(path)
    store = EncryptedStore(inner, configuration)
    await store.outdated()
    if marked is None or not marked <= configuration.names:
        # Older states were never encrypted, or are in keys that are gone: nobody is to read them any more.
        await inner.compact(inner.revision)
    await _mark(inner, configuration.names)
    return store


async def _forget_encryption(inner: Engine) -> None:
    async for record in _records(inner):
        if record.value.startswith(PREFIX):
            raise Undecipherable(f"the value of {record.key} is encrypted, and no encryption configuration is given")
    await inner.compact(inner.revision)
    mark = await inner.get(MARK)
    if mark is not None:
        await inner.delete(MARK, mark.revision)


async def _records(store: Store) -> AsyncIterator[Record]:
    page = await store.range("/", limit=_PAGE)
    revision = page.revision
    while True:
        for record in page.records:
            yield record
        if not page.remaining:
            return
        page = await store.range("/", after=page.records[-1].key, limit=_PAGE, revision=revision)


async def _marked(store: Store) -> frozenset[str] | None:
    record = await store.get(MARK)
    return frozenset(json.loads(record.value)) if record is not None else None


async def _mark(store: Store, names: frozenset[str]) -> None:
    value = json.dumps(sorted(names)).encode()
    record = await store.get(MARK)
    if record is None:
        await store.create(MARK, value)
    elif record.value != value:
        await store.update(MARK, value, record.revision)


@cache
def _groups() -> frozenset[str]:
    """The groups whose names have no dot; those of custom resources have one."""
    return frozenset(row.group for row in RESOURCES)
