"""Encryption at rest: ciphers, the configuration file, and a store that nobody reads without the keys."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.foundation.clock import SystemClock
from podkeeper.foundation.keyfiles import write_private
from podkeeper.foundation.watched_file import WatchedFile
from podkeeper.registry.encryption import secretbox
from podkeeper.registry.encryption.ciphers import PROVIDERS, CannotDecrypt
from podkeeper.registry.encryption.configuration import ConfigurationError, load, parse
from podkeeper.registry.encryption.store import MARK, EncryptedStore, Undecipherable, open_encrypted
from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.sqlite import SqliteStore

KEY = "/secrets/default/db"
PLAIN = b'{"apiVersion":"v1","kind":"Secret","data":{"password":"aHVudGVyMg=="}}'
VERSION = "apiserver.config.k8s.io/v1"


def provider(kind: str, *names: str) -> dict[str, Any]:
    keys = [{"name": name, "secret": base64.b64encode(name.encode().ljust(32, b"x")).decode()} for name in names]
    return {kind: {"keys": keys}}


def configuration(*providers: Mapping[str, Any], resources: tuple[str, ...] = ("secrets",)) -> dict[str, Any]:
    rule = {"resources": list(resources), "providers": list(providers)}
    return {"apiVersion": VERSION, "kind": "EncryptionConfiguration", "resources": [rule]}


def written(path: Path, *providers: Mapping[str, Any]) -> Path:
    write_private(path, yaml.safe_dump(configuration(*providers)).encode())
    return path


def test_secretbox_is_nacls() -> None:
    """The example of "Cryptography in NaCl", section 10, whose box's key is agreed on before."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    plain = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4"
        "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52"
        "f0a089bc76897040e082f937763848645e0705"
    )
    sealed = bytes.fromhex(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b"
        "4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da"
        "99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5"
    )
    assert secretbox.seal(key, nonce, plain) == sealed
    assert secretbox.open_(key, nonce, sealed) == plain


@pytest.mark.parametrize("size", [0, 31, 32, 700, 5000])
def test_long_values_are_sealed_as_short_ones(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    key, nonce, plain = bytes(range(32)), bytes(range(24)), bytes(index % 251 for index in range(size))
    monkeypatch.setattr(secretbox, "_MANY", 1 << 30)
    one_by_one = secretbox.seal(key, nonce, plain)
    monkeypatch.setattr(secretbox, "_MANY", 0)
    assert secretbox.seal(key, nonce, plain) == one_by_one
    assert secretbox.open_(key, nonce, one_by_one) == plain


@pytest.mark.parametrize("kind", sorted(PROVIDERS))
@settings(max_examples=15, deadline=None)
@given(plain=st.binary(max_size=200))
def test_what_is_hidden_comes_back_and_shows_nothing(kind: str, plain: bytes) -> None:
    cipher = PROVIDERS[kind]("a", b"k" * 32)
    hidden = cipher.encrypt(plain, b"/secrets/a/b")
    assert cipher.decrypt(hidden, b"/secrets/a/b") == plain
    assert len(plain) < 8 or plain not in hidden
    assert cipher.encrypt(plain, b"/secrets/a/b") != hidden  # a new nonce each time
    assert "kkkk" not in repr(cipher)


@pytest.mark.parametrize("kind", ["aesgcm", "secretbox"])
def test_changed_bytes_and_other_keys_are_refused(kind: str) -> None:
    cipher = PROVIDERS[kind]("a", b"k" * 32)
    hidden = bytearray(cipher.encrypt(PLAIN, b"/a"))
    with pytest.raises(CannotDecrypt):
        PROVIDERS[kind]("a", b"l" * 32).decrypt(bytes(hidden), b"/a")
    hidden[-1] ^= 1
    with pytest.raises(CannotDecrypt):
        cipher.decrypt(bytes(hidden), b"/a")


def test_a_value_cannot_be_moved_to_another_object() -> None:
    cipher = PROVIDERS["aesgcm"]("a", b"k" * 32)
    with pytest.raises(CannotDecrypt):
        cipher.decrypt(cipher.encrypt(PLAIN, b"/secrets/a/b"), b"/secrets/a/c")


@pytest.mark.parametrize(
    ("names", "covered", "not_covered"),
    [
        (("secrets",), ("", "secrets"), ("", "configmaps")),
        (("deployments.apps",), ("apps", "deployments"), ("", "deployments")),
        (("*.apps",), ("apps", "replicasets"), ("batch", "jobs")),
        (("*.",), ("", "pods"), ("apps", "deployments")),
        (("*.*",), ("example.com", "widgets"), None),
    ],
)
def test_wildcards(names: tuple[str, ...], covered: tuple[str, str], not_covered: tuple[str, str] | None) -> None:
    found = parse(configuration(provider("aesgcm", "k"), resources=names))
    assert found.keyring(*covered).writing.name == "aesgcm:k"
    assert not_covered is None or found.keyring(*not_covered).writing.name == "identity"


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"kind": "Pod"}, "kind"),
        (configuration(provider("kms", "k")), "kms: key management services are not supported"),
        (configuration({"aesgcm": {"keys": [{"name": "k", "secret": "c2hvcnQ="}]}}), "got 5, expected one of"),
        (configuration({"secretbox": {"keys": [{"name": "k", "secret": "?"}]}}), '"REDACTED": secrets must be base64'),
        (configuration(), "resources\\[0\\].providers: Required value"),
        (configuration(provider("rot13", "k")), "unknown provider rot13"),
        (configuration(provider("aesgcm", "k", "k")), "aesgcm:k is there twice"),
        (configuration(provider("aesgcm", "k"), resources=("*",)), "use '\\*.'"),
        (configuration(provider("aesgcm", "k"), resources=("Secrets",)), "capital letters"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is(tree: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse(tree)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "enc", provider("aesgcm", "k"))
    load(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read it"):
        load(path)


async def opened(inner: Any, path: Path) -> EncryptedStore:
    store = await open_encrypted(inner, path)
    assert store is not None
    return store


async def test_readers_see_plain_values_and_the_store_behind_none(tmp_path: Path) -> None:
    inner = MemoryStore()
    store = await opened(inner, written(tmp_path / "enc", provider("aesgcm", "one"), {"identity": {}}))
    revision = await store.create(KEY, PLAIN)
    await store.create("/configmaps/default/db", b"open")
    await store.update(KEY, PLAIN + b" ", revision)
    behind = await inner.get(KEY)
    assert behind is not None
    assert behind.value.startswith(b"k8s:enc:aesgcm:v1:one:")
    assert b"aHVudGVy" not in behind.value
    seen = await store.get(KEY)
    assert seen is not None
    assert seen.value == PLAIN + b" "
    assert store.newest(KEY) == seen
    assert [each.value for each in (await store.range("/secrets/")).records] == [PLAIN + b" "]
    entries: list[Any] = []
    async for batch in store.watch(KEY, revision - 1):
        entries += batch
        if len(entries) == 2:
            break
    assert [(each.record.value, each.previous and each.previous.value) for each in entries] == [
        (PLAIN, None),
        (PLAIN + b" ", PLAIN),
    ]
    other = await inner.get("/configmaps/default/db")
    assert other is not None
    assert other.value == b"open"


async def test_turned_on_rotated_while_serving_and_turned_off(tmp_path: Path) -> None:
    inner, path = MemoryStore(), tmp_path / "enc"
    await inner.create(KEY, PLAIN)
    store = await opened(inner, written(path, provider("secretbox", "one"), {"identity": {}}))
    assert (await store.rewrite(), await store.rewrite()) == (1, 0)
    await store.use(load(written(path, provider("aescbc", "two"))))  # the old key is gone from the file at once
    behind, seen = await inner.get(KEY), await store.get(KEY)
    assert behind is not None
    assert behind.value.startswith(b"k8s:enc:aescbc:v1:two:")
    assert seen is not None
    assert seen.value == PLAIN
    with pytest.raises(Undecipherable, match=KEY):
        await open_encrypted(inner, written(tmp_path / "other", provider("aescbc", "three")))
    with pytest.raises(Undecipherable, match="no encryption configuration"):
        await open_encrypted(inner, None)
    before = inner.oldest
    store = await opened(inner, path)
    assert inner.oldest > before  # history in the retired key is gone
    await store.use(load(written(path, {"identity": {}}, provider("aescbc", "two"))))
    assert await open_encrypted(inner, None) is None
    plain = await inner.get(KEY)
    assert plain is not None
    assert plain.value == PLAIN
    assert await inner.get(MARK) is None


async def test_a_change_of_the_file_is_obeyed_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("podkeeper.foundation.watched_file.PERIOD", 0.001)
    inner, path = MemoryStore(), written(tmp_path / "enc", provider("aesgcm", "one"))
    store = await opened(inner, path)
    await store.create(KEY, PLAIN)
    following = asyncio.create_task(store.follow(WatchedFile(path), SystemClock()))
    try:
        write_private(path, b"nonsense")
        async with asyncio.timeout(5):
            while "stays as it was" not in caplog.text:
                await asyncio.sleep(0.001)
            written(path, provider("aesgcm", "two", "one"))
            async for batch in inner.watch(KEY, 0):
                if any(entry.record.value.startswith(b"k8s:enc:aesgcm:v1:two:") for entry in batch):
                    break
    finally:
        following.cancel()


async def test_nothing_secret_is_in_the_database_file(tmp_path: Path) -> None:
    inner = await SqliteStore.open(tmp_path / "log.db")
    store = await opened(inner, written(tmp_path / "enc", provider("aesgcm", "one"), {"identity": {}}))
    revision = await store.create(KEY, PLAIN)
    await store.update(KEY, PLAIN.replace(b"Mg==", b"Mw=="), revision)
    await store.create("/configmaps/default/db", b"to be seen")
    await store.close()
    files = b"".join(each.read_bytes() for each in tmp_path.iterdir() if each.name.startswith("log.db"))
    assert b"to be seen" in files
    assert b"aHVudGVy" not in files
    assert b"password" not in files
