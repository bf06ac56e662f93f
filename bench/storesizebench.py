"""What a selective LIST costs in stores of different sizes: by what it returns, not by what is stored.

    python bench/storesizebench.py [--sizes 100 10000] [--seconds 2]

Starts a server of its own on 127.0.0.1 for each size; needs wrk. Each LIST returns ten pods, however many there are.
``server_us`` is processor time of the server's process per request.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Any

import uvloop
from apiserverbench import NAMESPACE, Client, pod, reader_token, report, wrk

from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.api_server import running_api_server

#: Pods of one node, and of one owner's label.
SHARE = 10
_WRITERS = 16


def scheduled(number: int, count: int) -> dict[str, Any]:
    """A pod on a node and with a label, each shared by ten."""
    made = pod(number)
    made["metadata"]["labels"]["owner"] = f"o{number % (count // SHARE)}"
    made["spec"]["nodeName"] = f"n{number % (count // SHARE)}"
    return made


async def measure(count: int, seconds: int) -> None:
    """Fills one store and asks it."""
    with tempfile.TemporaryDirectory() as name:
        async with running_api_server(Path(name), store=MemoryStore()) as server:
            client = Client(server)
            token = await reader_token(client)
            numbers = iter(range(count))

            async def fill() -> None:
                for number in numbers:
                    await client.send("POST", f"{NAMESPACE}/pods", scheduled(number, count))

            await asyncio.gather(*(fill() for _ in range(_WRITERS)))
            for what, query in (("node", "fieldSelector=spec.nodeName%3Dn7"), ("label", "labelSelector=owner%3Do7")):
                url = f"{server.url}{NAMESPACE}/pods?{query}"
                found = (await client.send("GET", f"{NAMESPACE}/pods?{query}"))["items"]
                if len(found) != SHARE:
                    raise SystemExit(f"{query} finds {len(found)} pods")
                await report(f"{count} pods, LIST by {what}", lambda url=url: wrk(url, token, 4, seconds))


async def main(options: argparse.Namespace) -> None:
    """All sizes, one after the other."""
    for count in options.sizes:
        await measure(count, options.seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--seconds", type=int, default=2)
    uvloop.run(main(parser.parse_args()))
