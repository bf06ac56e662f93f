"""Files that a disk has damaged: what is said, and what a torn end of the log costs."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from podkeeper.storage.sqlite import SqliteStore, StoreDamaged

WRITES = 60
WRITE_AND_DIE = f"""
import asyncio, os, signal, sys
from podkeeper.storage.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[1])
    for number in range({WRITES}):
        await store.create(f"/k/{{number:03}}", os.urandom(4000))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a store whose process was killed."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(folder / "store.db")], check=False)
    assert done.returncode == -9
    (folder / "store.db-shm").unlink()
    return folder


@pytest.fixture
def path(killed: Path, tmp_path: Path) -> Path:
    shutil.copytree(killed, tmp_path / "store")
    return tmp_path / "store" / "store.db"


async def keys(path: Path) -> list[str]:
    store = await SqliteStore.open(path)
    try:
        page = await store.range("/")
        assert store.revision == len(page.records)
        return [record.key for record in page.records]
    finally:
        await store.close()


async def test_what_was_acknowledged_is_there(path: Path) -> None:
    assert len(await keys(path)) == WRITES


async def test_a_log_that_is_cut_anywhere_is_a_prefix_of_history(path: Path) -> None:
    """As after a power cut before the last synchronisation."""
    log = path.with_name("store.db-wal")
    whole, files = log.read_bytes(), {each.name: each.read_bytes() for each in path.parent.iterdir()}
    chance = random.Random(1)
    for _ in range(25):
        for name, data in files.items():
            (path.parent / name).write_bytes(data)
        path.with_name("store.db-shm").unlink(missing_ok=True)
        log.write_bytes(whole[: chance.randrange(len(whole))])
        found = await keys(path)
        assert found == [f"/k/{number:03}" for number in range(len(found))]


async def test_a_torn_last_commit_is_forgotten(path: Path) -> None:
    log = path.with_name("store.db-wal")
    data = bytearray(log.read_bytes())
    data[-10] ^= 0xFF
    log.write_bytes(data)
    assert len(await keys(path)) == WRITES - 1


@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
async def test_damage_before_later_commits_is_named_and_nothing_is_touched(path: Path, part: float) -> None:
    log = path.with_name("store.db-wal")
    data = bytearray(log.read_bytes())
    data[int(len(data) * part)] ^= 0xFF
    log.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"store\.db-wal is damaged at frame \d+, and \d+ commits after it"):
        await SqliteStore.open(path)
    assert log.read_bytes() == bytes(data)
    with pytest.raises(StoreDamaged):
        await SqliteStore.open(path)


async def test_a_log_without_its_header_is_named(path: Path) -> None:
    log = path.with_name("store.db-wal")
    data = bytes(32) + log.read_bytes()[32:]
    log.write_bytes(data)
    with pytest.raises(StoreDamaged, match="has no valid header"):
        await SqliteStore.open(path)
    assert log.read_bytes() == data


async def test_an_emptied_database_beside_a_log_is_named(path: Path) -> None:
    data = path.with_name("store.db-wal").read_bytes()
    path.write_bytes(b"")
    with pytest.raises(StoreDamaged, match=r"is empty, but store\.db-wal is not"):
        await SqliteStore.open(path)
    assert path.with_name("store.db-wal").read_bytes() == data


async def test_damaged_pages_are_named(path: Path) -> None:
    assert len(await keys(path)) == WRITES
    data = bytearray(path.read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"store\.db cannot be read: .*malformed"):
        await SqliteStore.open(path)
