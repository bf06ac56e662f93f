"""Start, stop and start again on the same store."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from podkeeper.apiserver.limits import RequestLimits
from podkeeper.foundation.http.client import Exchange, request_message
from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.api_server import TestServer, running_api_server


async def ask(server: TestServer, path: str) -> Exchange:
    headers = [(b"host", b"t"), (b"authorization", f"Bearer {server.admin_token}".encode())]
    tls = server.tls()
    return await Exchange.send(("127.0.0.1", server.server.port), tls, request_message("GET", path, headers))


async def test_a_stop_ends_watches_in_good_order_and_soon(tmp_path: Path) -> None:
    async with asyncio.timeout(4):  # the grace for answers is five seconds: watches must not need it
        async with running_api_server(tmp_path) as server:
            watches = [await ask(server, "/api/v1/namespaces?watch=1") for _ in range(3)]
            idle = await ask(server, "/livez")
            async for _ in idle.pieces():
                pass
        for watch in watches:
            lines = b"".join([piece async for piece in watch.pieces()]).splitlines()
            assert [json.loads(line)["type"] for line in lines] == ["ADDED"] * 4


async def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    async with running_api_server(tmp_path, store=store, port=0) as first:
        revision, token, port = store.revision, first.admin_token, first.server.port
    async with running_api_server(tmp_path, store=store, port=port) as second:
        assert (store.revision, second.admin_token) == (revision, token)
    await store.close()


async def test_the_admin_token_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with running_api_server(tmp_path) as server:
        path = server.config.admin_token_file
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert len(server.admin_token) == 64


async def test_a_server_that_stops_says_so_before_it_goes(tmp_path: Path) -> None:
    opened: asyncio.Future[TestServer] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def live() -> None:
        async with running_api_server(tmp_path, limits=RequestLimits(shutdown_delay=0.3)) as server:
            opened.set_result(server)
            await leave.wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(live())
        server = await opened
        assert (await ask(server, "/readyz")).status == 200
        leave.set()
        await asyncio.sleep(0)
        while (await ask(server, "/readyz")).status == 200:
            pass
        assert (await ask(server, "/api/v1/namespaces")).status == 200
