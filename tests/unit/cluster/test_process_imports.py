"""What a long-lived process must not load: memory that it never uses, for as long as the cluster lives."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("component", ["node", "controllers", "scheduler"])
@pytest.mark.parametrize("library", ["aiohttp", "cryptography", "click", "rich"])
def test_a_process_does_not_load(component: str, library: str) -> None:
    code = f"import podkeeper.cluster.processes.{component}, sys; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("library", ["asyncio", "cryptography", "msgspec", "ssl"])
def test_the_supervisor_costs_an_interpreter(library: str) -> None:
    code = (
        f"import podkeeper.cluster.components, podkeeper.cluster.supervisor, sys; sys.exit({library!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("library", ["asyncio", "msgspec", "yaml"])
def test_a_command_loads_what_it_needs(library: str) -> None:
    code = f"import podkeeper.cli.commands, podkeeper.cli.cluster_commands, sys; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_api_server_without_clients_in_go_does_not_load_protobuf() -> None:
    code = "import podkeeper.cluster.processes.apiserver, sys; sys.exit('podkeeper.api.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("library", ["jwt", "yaml", "urllib.request", "numpy", "aiohttp"])
def test_an_api_server_loads_these_when_somebody_needs_them(library: str) -> None:
    code = f"import podkeeper.cluster.processes.apiserver, sys; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
