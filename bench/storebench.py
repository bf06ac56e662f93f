"""Durable rows per second of the SQLite store, for a number of writers that wait for each other's commit.

    python bench/storebench.py [--seconds 2] [--bytes 3000] [--dir DIR] [--writers 1,10,50,200]

Each writer creates a key, waits for the acknowledgement, and goes on to the next; every tenth write updates the key
before. ``--dir`` chooses the disk. ``--busy`` adds a coroutine that keeps the event loop at work, as readers would.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

import uvloop

from podkeeper.storage.sqlite import SqliteStore


async def measure(directory: Path, writers: int, seconds: float, size: int, busy: bool) -> tuple[float, float]:
    """Rows per second, and milliseconds per write."""
    store = await SqliteStore.open(directory / f"bench-{writers}.db")
    value, written = os.urandom(size), 0
    end = time.perf_counter() + seconds

    async def write(number: int) -> None:
        nonlocal written
        turn = 0
        while time.perf_counter() < end:
            key = f"/registry/pods/default/pod-{number}-{turn}"
            revision = await store.create(key, value)
            if turn % 10 == 9:
                await store.update(key, value, revision)
                written += 1
            written += 1
            turn += 1

    async def read() -> None:
        while time.perf_counter() < end:
            sum(range(2000))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for number in range(writers):
            tasks.create_task(write(number))
        if busy:
            tasks.create_task(read())
    await store.close()
    return written / seconds, writers * seconds / written * 1000


def main() -> None:
    """Prints one line per number of writers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--bytes", type=int, default=3000)
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--writers", default="1,10,50,200")
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    for writers in map(int, options.writers.split(",")):
        with tempfile.TemporaryDirectory(dir=options.dir) as directory:
            measured = measure(Path(directory), writers, options.seconds, options.bytes, options.busy)
            rows, milliseconds = uvloop.run(measured)
        print(f"{writers:4} writers: {rows:8,.0f} rows/s, {milliseconds:6.2f} ms per write")


if __name__ == "__main__":
    main()
