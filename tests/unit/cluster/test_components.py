"""A component as a command of its own: what it says when it cannot begin."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from podkeeper.cluster import settings
from podkeeper.cluster.components import run_component
from podkeeper.cluster.layout import Layout


def test_a_component_without_a_cluster_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"error: there is no cluster in .*\ntry: podkeeper up --detach"):
        run_component("node", ["--data-dir", str(tmp_path / "none")])


def test_an_api_server_whose_port_is_taken_says_so_before_it_opens_the_store(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "data")
    layout.create()
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        wishes = settings.Wishes(node_name="node", node_ip="127.0.0.1", port=port)
        settings.save(layout.settings, settings.decide(None, wishes))
        with pytest.raises(SystemExit, match=rf"error: cannot listen on port {port}: Address already in use\ntry: "):
            run_component("apiserver", ["--data-dir", str(layout.root)])
    assert not list(layout.store.glob("*"))
