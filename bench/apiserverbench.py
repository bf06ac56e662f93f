"""Requests per second of the API server over TLS, with authentication and RBAC, on a durable store.

    python bench/apiserverbench.py [--seconds 2] [--pods 1000] [--watchers 200] [--events 200]

Starts a server of its own on 127.0.0.1; needs wrk. A reader is a service account with a role, not an administrator,
so that every request is judged. ``server_us`` is processor time of the server's process per request or event: it
depends less on what else the machine does than the rates.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from podkeeper.foundation.http.client import Exchange, request_message
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.testing.api_server import TestServer, running_api_server

NAMESPACE = "/api/v1/namespaces/bench"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def pod(number: int) -> dict[str, Any]:
    """A pod of about 2 kB as stored."""
    containers = [
        {
            "name": f"c{index}",
            "image": "example/app:1",
            "env": [{"name": f"E{each}", "value": "v" * 20} for each in range(5)],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        }
        for index in range(2)
    ]
    metadata = {"name": f"p{number:05}", "labels": {"idx": str(number % 10)}}
    return {"metadata": metadata, "spec": {"automountServiceAccountToken": False, "containers": containers}}


class Client:
    """Requests of the administrator, one connection each."""

    def __init__(self, server: TestServer) -> None:
        self._server, self._tls = server, server.tls()

    async def send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> dict[str, Any]:
        """The decoded answer."""
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        exchange = await self.open(method, path, data, kind)
        answer = b"".join([piece async for piece in exchange.pieces()])
        exchange.close()
        if exchange.status >= 400:
            raise SystemExit(f"{method} {path}: {exchange.status} {answer[:300]!r}")
        return json.loads(answer)  # type: ignore[no-any-return]

    async def open(self, method: str, path: str, data: bytes = b"", kind: str = "application/json") -> Exchange:
        """The answer's beginning."""
        token = self._server.admin_token.encode()
        headers = [(b"Host", b"bench"), (b"Authorization", b"Bearer " + token), (b"Content-Type", kind.encode())]
        address = ("127.0.0.1", self._server.server.port)
        return await Exchange.send(address, self._tls, request_message(method, path, headers, data))


async def reader_token(client: Client) -> str:
    """A service account that may read pods, and its token."""
    await client.send("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
    for name in ("default", "reader"):
        await client.send("POST", f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": name}})
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    await client.send("POST", f"{RBAC}/namespaces/bench/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "bench"}],
    }
    await client.send("POST", f"{RBAC}/namespaces/bench/rolebindings", binding)
    answer = await client.send("POST", f"{NAMESPACE}/serviceaccounts/reader/token", {"spec": {}})
    return str(answer["status"]["token"])


async def wrk(url: str, token: str, connections: int, seconds: int) -> tuple[int, str]:
    """Requests that were answered well, and wrk's median latency."""
    arguments = ("-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Authorization: Bearer {token}", url)
    process = await asyncio.create_subprocess_exec("wrk", *arguments, stdout=asyncio.subprocess.PIPE)
    text = (await process.communicate())[0].decode()
    if "Non-2xx" in text:
        raise SystemExit(text)
    done = re.search(r"(\d+) requests in", text)
    median = re.search(r"50%\s+([\d.]+\w+)", text)
    return int(done.group(1)) if done else 0, median.group(1) if median else "?"


async def report(name: str, run: Callable[[], Awaitable[tuple[int, str]]]) -> None:
    """Runs and prints one figure."""
    wall, cpu = time.perf_counter(), time.process_time()
    count, note = await run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:28} {count / wall:10.0f}/s   server_us {cpu * 1e6 / max(count, 1):7.1f}   {note}", flush=True)


async def fan_out(client: Client, watchers: int, events: int) -> tuple[int, str]:
    """Patches one object while many watch it; the watchers' answers are read by this process too."""
    await client.send("POST", f"{NAMESPACE}/configmaps", {"metadata": {"name": "target"}, "data": {"pad": "x" * 1000}})
    streams = [await client.open("GET", f"{NAMESPACE}/configmaps?watch=1") for _ in range(watchers)]

    async def count(stream: Exchange) -> int:
        seen = 0
        async for piece in stream.pieces():
            seen += piece.count(b'"type":"MODIFIED"')
            if seen >= events:
                break
        stream.close()
        return seen

    counting = asyncio.gather(*(count(stream) for stream in streams))
    for number in range(events):
        patch = {"data": {"k": str(number)}}
        await client.send("PATCH", f"{NAMESPACE}/configmaps/target", patch, "application/merge-patch+json")
    return sum(await counting), "client in the same process"


async def main(options: argparse.Namespace) -> None:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        store = await SqliteStore.open(directory / "log.db")
        async with running_api_server(directory, store=store) as server:
            client = Client(server)
            token = await reader_token(client)
            for number in range(options.pods):
                await client.send("POST", f"{NAMESPACE}/pods", pod(number))
            pods = f"{server.url}{NAMESPACE}/pods"
            seconds = options.seconds
            await report("GET of one pod", lambda: wrk(f"{pods}/p00000", token, 16, seconds))
            await report(f"LIST of {options.pods} pods", lambda: wrk(pods, token, 4, seconds))
            await report("LIST by label, a tenth", lambda: wrk(f"{pods}?labelSelector=idx%3D3", token, 4, seconds))
            name = f"fan-out to {options.watchers} watches"
            await report(name, lambda: fan_out(client, options.watchers, options.events))
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--events", type=int, default=200)
    uvloop.run(main(parser.parse_args()))
