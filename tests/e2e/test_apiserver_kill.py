"""Kills an API server in mid-write, again and again, while clients write to it and one informer follows.

After each restart every acknowledged write is there and no version has gone back; at the end the informer, which was
never allowed to list again, has seen the version of every acknowledged write.
"""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.client.api import ConnectionFailed, WatchEvent
from podkeeper.client.config import ClientConfig
from podkeeper.client.reflector import Reflector
from podkeeper.client.rest import RestApi
from podkeeper.foundation.clock import SystemClock
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.testing.api_server import prepare_config

KILLS = 50
WRITERS = 8
LONGEST_LIFE = 0.15  # seconds under load

CHILD = """
import asyncio, sys
from pathlib import Path
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.testing.api_server import running_api_server

async def main(directory, port):
    store = await SqliteStore.open(directory / "log.db")
    async with running_api_server(directory, store=store, port=port):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@dataclass
class Acknowledged:
    """The newest acknowledged version and count of every object, and all versions ever acknowledged."""

    newest: dict[str, tuple[int, int]] = field(default_factory=dict)
    versions: set[int] = field(default_factory=set)

    def note(self, obj: v1.ConfigMap) -> None:
        version = int(obj.metadata.resource_version)
        assert version not in self.versions, f"version {version} was given out twice"
        self.versions.add(version)
        self.newest[obj.metadata.name] = (version, int(obj.data["count"]))


class Follower:
    """The reflector's sink: which versions it was shown, and that it listed only once."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.newest = 0
        self.lists = 0
        self.progress = asyncio.Event()

    def replace(self, objects: Sequence[v1.ConfigMap], version: str) -> None:
        self.lists += 1
        self._see(int(version))

    def apply(self, event: WatchEvent[v1.ConfigMap]) -> None:
        version = int(event.resource_version)
        assert version not in self.seen, f"version {version} came twice"
        assert version > self.newest, f"version {version} came after {self.newest}"
        self.seen.add(version)
        self._see(version)

    def _see(self, version: int) -> None:
        self.newest = max(self.newest, version)
        self.progress.set()

    async def wait_for(self, version: int) -> None:
        while self.newest < version:
            self.progress.clear()
            await self.progress.wait()


@asynccontextmanager
async def server_process(directory: Path, port: int) -> AsyncIterator[Any]:
    """An API server that is ready; killed with SIGKILL at the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(directory), str(port), stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
        yield child
        assert child.returncode is None, "the server ended by itself"
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def write(api: RestApi, name: str, acknowledged: Acknowledged) -> None:
    """Counts one object up until the server is gone."""
    maps = api.of(v1.ConfigMap)
    try:
        try:
            count = int((await maps.get(name, "default")).data["count"])
        except ApiError as error:
            if error.code != 404:
                raise
            empty = v1.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"), data={"count": "0"})
            acknowledged.note(await maps.create(empty))
            count = 0
        while True:
            count += 1
            acknowledged.note(await maps.patch(name, {"data": {"count": str(count)}}, "default"))
    except ConnectionFailed:
        return


async def check(api: RestApi, acknowledged: Acknowledged) -> None:
    """Compares what is there with what was acknowledged."""
    listed = await api.of(v1.ConfigMap).list("default")
    present = {obj.metadata.name: obj for obj in listed.items}
    for name, (version, count) in acknowledged.newest.items():
        found = int(present[name].metadata.resource_version), int(present[name].data["count"])
        assert found >= (version, count), f"{name} went back from {(version, count)} to {found}"
    assert int(listed.resource_version) >= max(acknowledged.versions, default=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_acknowledged_writes_survive_and_watches_resume(tmp_path: Path) -> None:
    port, chance = free_port(), random.Random(50)
    _, authority = prepare_config(tmp_path)
    pair = KeyPair(tmp_path / "tester.crt", tmp_path / "tester.key")
    authority.issue_client(pair, "tester", ("system:masters",))
    config = ClientConfig(
        f"https://127.0.0.1:{port}",
        ca=authority.certificate_pem(),
        certificate=pair.certificate.read_bytes(),
        key=pair.key.read_bytes(),
    )
    acknowledged, follower = Acknowledged(), Follower()
    api = RestApi(config)
    following = asyncio.create_task(Reflector(api.of(v1.ConfigMap), follower, SystemClock()).run())
    try:
        for _ in range(KILLS):
            async with server_process(tmp_path, port):
                await check(api, acknowledged)
                async with asyncio.timeout(30):
                    await follower.wait_for(max(acknowledged.versions, default=1))
                writers = [asyncio.create_task(write(api, f"n{each}", acknowledged)) for each in range(WRITERS)]
                await asyncio.wait(writers, timeout=chance.uniform(0.02, LONGEST_LIFE))
            await asyncio.gather(*writers)
        async with server_process(tmp_path, port):
            await check(api, acknowledged)
            async with asyncio.timeout(30):
                await follower.wait_for(max(acknowledged.versions))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await api.close()
    assert following.cancelled()
    assert len(acknowledged.versions) > KILLS * 5
    assert follower.lists == 1
    assert acknowledged.versions <= follower.seen
