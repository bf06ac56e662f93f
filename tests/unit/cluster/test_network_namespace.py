"""A cluster is ended where its network is: elsewhere its bridge and rules would stay, unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from podkeeper.cluster import network_namespace
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

REMEMBER = """
import sys
from podkeeper.cluster import network_namespace
from podkeeper.cluster.layout import Layout
network_namespace.remember(Layout.at(sys.argv[1]))
print("done", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path)
    layout.create()
    return layout


def test_in_its_own_namespace_nothing_stands_in_the_way(layout: Layout) -> None:
    network_namespace.check(layout)
    network_namespace.remember(layout)
    network_namespace.check(layout)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_another_one_is_named_as_long_as_it_is_there(layout: Layout) -> None:
    words = ["unshare", "--net", sys.executable, "-c", REMEMBER, str(layout.root)]
    elsewhere = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert elsewhere.stdout is not None
    assert elsewhere.stdout.readline() == "done\n"
    with pytest.raises(ClusterError, match="another network namespace") as caught:
        network_namespace.check(layout)
    assert caught.value.advice.endswith(f"nsenter --net=/proc/{elsewhere.pid}/ns/net")
    elsewhere.communicate("")
    network_namespace.check(layout)


def test_what_another_boot_has_written_means_nothing(layout: Layout) -> None:
    (layout.run / "network-namespace.json").write_text('{"boot": "of old", "namespace": 1}')
    network_namespace.check(layout)
