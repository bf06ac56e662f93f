"""Programs that are missing, broken or too old: what was attempted, why it failed, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_harness import PODKEEPER, Cluster, Namespace
from cluster_traces import traces

from podkeeper.cluster import settings
from podkeeper.cluster.layout import Layout
from podkeeper.runtime.cri import ContainerConfig, SandboxConfig
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.testing.scratch_engine import scratch_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")


def program(directory: Path, name: str, says: str) -> Path:
    """A program that refuses every command line."""
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 64\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Settings of a cluster that does not run."""
    namespace = Namespace(f"pk-e2e-lacks-{os.getpid()}", "192.168.94.10")
    namespace.create()
    cluster = Cluster(namespace, tmp_path / "data", f"lacks-{os.getpid()}")
    layout = Layout.at(cluster.data_dir)
    layout.create()
    settings.save(layout.settings, settings.Settings(cluster.node_name, namespace.address))
    try:
        yield cluster
        cluster.podkeeper("reset --yes")
        assert not any(traces(cluster).values()), traces(cluster)
    finally:
        cluster.podkeeper("reset --yes", check=False)
        namespace.remove()


def test_an_oci_runtime_that_does_not_work_is_told_of_in_words(cluster: Cluster, tmp_path: Path) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    program(bin_, "crun", "unknown option")
    program(bin_, "runc", "too old")
    words = [*cluster.namespace.enter, "env", f"PATH={bin_}:{os.environ['PATH']}", PODKEEPER, "node"]
    done = subprocess.run(
        [*words, "--data-dir", cluster.data_dir], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "error: the container engine cannot start: no OCI runtime works: crun: crun cannot run probe-"
    )
    assert "; runc: runc cannot run probe-" in last
    assert "Traceback" not in done.stderr


def test_up_names_what_is_missing_and_the_package_that_has_it(cluster: Cluster, tmp_path: Path) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("nsenter", "env", "python3"):
        (bin_ / name).symlink_to(str(shutil.which(name)))
    words = [*cluster.namespace.enter, str(bin_ / "env"), f"PATH={bin_}", PODKEEPER, "up", "--detach"]
    done = subprocess.run([*words, "--data-dir", cluster.data_dir], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "missing on this machine: conmon, nftables, crun" in done.stderr
    assert "apt-get install conmon nftables crun" in done.stderr


async def test_a_monitor_that_refuses_is_quoted(tmp_path: Path) -> None:
    old = program(tmp_path, "conmon", "Unknown option --full-attach")
    async with scratch_engine(tmp_path, conmon=str(old)) as scratch:
        sandbox = await scratch.engine.run_sandbox(SandboxConfig("pod", "default", "uid-1"))
        container = await scratch.engine.create_container(sandbox, ContainerConfig("a", scratch.image))
        with pytest.raises(RuntimeFailure, match=f"{old} ended with code 64: Unknown option --full-attach"):
            await scratch.engine.start_container(container)
