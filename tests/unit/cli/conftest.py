"""The command line in this process, against an API server in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podkeeper.cli.commands import podkeeper
from podkeeper.cluster.layout import Layout
from podkeeper.testing.api_server import TestServer, running_api_server

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a cluster that has an API server and nothing else."""
    layout = Layout.at(tmp_path_factory.mktemp("cli"))
    started, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with running_api_server(layout.root) as server:
            layout.admin_kubeconfig.write_text(kubeconfig(server))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert started.wait(20)
        yield layout.root
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def kubeconfig(server: TestServer) -> str:
    """The administrator's."""
    cluster = {"server": server.url, "certificate-authority": str(server.authority.pair.certificate)}
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": server.admin_token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


@pytest.fixture
def run(data_dir: Path) -> Run:
    """Runs a command line; no failure may be an exception that the command line lets through."""

    def run(command: str, *words: str, stdin: str | bytes | None = None) -> Result:
        arguments = [*command.split(), "--data-dir", str(data_dir), *words]
        result = CliRunner().invoke(podkeeper, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run
