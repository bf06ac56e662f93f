"""Commands that change a cluster wait for each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from podkeeper.cluster import command_lock
from podkeeper.cluster.command_lock import alone
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

HOLD = """
import sys
from podkeeper.cluster.command_lock import alone
from podkeeper.cluster.layout import Layout
with alone(Layout.at(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
    if sys.argv[2] == "remove":
        import shutil
        shutil.rmtree(sys.argv[1])
"""


def holder(root: Path, end: str = "") -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLD, str(root), end]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path / "data")
    layout.create()
    return layout


def test_a_second_command_begins_when_the_first_has_ended(layout: Layout) -> None:
    first = holder(layout.root)
    words = [sys.executable, "-c", HOLD, str(layout.root), ""]
    second = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    first.communicate("")
    assert second.communicate("")[0] == "held\n"
    assert (first.returncode, second.returncode) == (0, 0)


def test_who_holds_it_for_long_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_lock, "PATIENCE_SECONDS", 0.01)
    first = holder(layout.root)
    with (
        pytest.raises(ClusterError, match=f"another command is at work on this cluster: process {first.pid}"),
        alone(layout),
    ):
        pass
    first.kill()
    first.communicate()
    with alone(layout):
        pass


def test_after_a_reset_there_is_nothing_to_hold(layout: Layout) -> None:
    first = holder(layout.root, "remove")
    assert first.stdin is not None
    first.stdin.close()
    with alone(layout):
        assert not layout.root.exists()
    first.wait()
