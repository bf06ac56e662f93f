"""The supervisor's commands and its lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.launch import ComponentProcess, command, launch, open_log
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.supervisor import SupervisorLock


def test_a_program_started_by_a_relative_path_is_found_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bin/podkeeper", "up"])
    words = command("node", Layout.at("/data"))
    assert words == (sys.executable, str(tmp_path / "bin/podkeeper"), "node", "--data-dir", "/data")


def test_only_one_supervisor_holds_a_data_directory(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    first, second = SupervisorLock(layout), SupervisorLock(layout)
    assert first.holder() is None
    first.acquire()
    assert second.holder() == os.getpid()
    with pytest.raises(ClusterError, match=f"process {os.getpid()}"):
        second.acquire()


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    code = (
        "from podkeeper.cluster.supervisor import SupervisorLock; from podkeeper.cluster.layout import Layout; "
        f"SupervisorLock(Layout.at({str(tmp_path)!r})).acquire()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert SupervisorLock(Layout.at(tmp_path)).holder() is None


def test_a_log_that_has_grown_too_long_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podkeeper.cluster.launch.LOG_LIMIT", 10)
    layout = Layout.at(tmp_path)
    layout.create()
    layout.log("node").write_text("x" * 11)
    with open_log(layout, "node") as log:
        log.write(b"new")
    assert layout.log("node").read_text() == "new"
    assert (layout.logs / "node.log.old").read_text() == "x" * 11
    assert layout.log("node").stat().st_mode & 0o777 == 0o600


def test_what_a_terminal_sends_reaches_the_supervisor_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C goes to the whole group in the foreground; the supervisor stops the others, in order."""
    layout = Layout.at(tmp_path)
    layout.create()
    monkeypatch.setattr("podkeeper.cluster.launch.command", lambda *_: (sys.executable, "-c", "input()"))
    running = launch(layout, "node")
    try:
        assert isinstance(running, ComponentProcess)
        assert os.getpgid(running.process.pid) == running.process.pid
    finally:
        running.kill()
        running.wait()
        running.close()
