"""The newcomer's commands, typed as they are in the README: make up, make up again, make down, make reset."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_harness import ROOT, Cluster, Namespace
from cluster_traces import traces

from podkeeper.cluster.settings import default_node_name

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Cluster]:
    """A machine of one's own, as far as the network goes, without a way out: no image registry answers."""
    namespace = Namespace(f"pk-e2e-make-{os.getpid()}", "192.168.95.10")
    namespace.create()
    cluster = Cluster(namespace, tmp_path / "data", default_node_name())
    try:
        yield cluster
    finally:
        cluster.podkeeper("reset --yes", check=False)
        namespace.remove()


def make(cluster: Cluster, target: str) -> str:
    return cluster.run("make", "-C", ROOT, target, f"DATA_DIR={cluster.data_dir}", timeout=280).stdout


def test_a_newcomer_comes_to_a_running_pod_and_leaves_nothing(newcomer: Cluster) -> None:
    said = make(newcomer, "up")
    for wanted in (
        f"starting node {default_node_name()} at https://192.168.95.10:6443",
        "apiserver ready",
        "no registry answers; building the image",
        "pod/nginx-pod created",
        "answers: Welcome to nginx!",
        f"export KUBECONFIG={newcomer.data_dir}/admin.kubeconfig",
    ):
        assert wanted in said, said
    before = newcomer.pids("supervisor")
    pod = newcomer.get("pod", "nginx-pod")["metadata"]["uid"]

    again = make(newcomer, "up")
    assert "is running already" in again
    assert "pod/nginx-pod unchanged" in again
    assert "answers: Welcome to nginx!" in again
    assert (newcomer.pids("supervisor"), newcomer.get("pod", "nginx-pod")["metadata"]["uid"]) == (before, pod)

    assert "the cluster is stopped" in make(newcomer, "down")
    assert newcomer.pids("supervisor") == []
    assert "answers: Welcome to nginx!" in make(newcomer, "up")
    assert all(traces(newcomer).values())

    assert "is left" in make(newcomer, "reset")
    assert not any(traces(newcomer).values()), traces(newcomer)
    assert "nothing of a cluster" in make(newcomer, "reset")


@pytest.mark.parametrize("target", ["up", "down", "reset"])
def test_without_root_it_says_so_and_how_to_go_on(tmp_path: Path, target: str) -> None:
    words = [*AS_NOBODY, "make", "-C", str(ROOT), target, f"DATA_DIR={tmp_path / 'data'}"]
    if subprocess.run([*AS_NOBODY, "test", "-r", ROOT / "Makefile"], check=False).returncode:
        pytest.skip("nobody may not read this checkout")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"error: make {target} needs root, and you are nobody" in done.stderr
    assert f"try: sudo make {target}" in done.stderr
    assert not (tmp_path / "data").exists()


def test_packages_that_are_missing_are_named_to_who_may_not_install_them() -> None:
    tool = ROOT / "tools" / "install-packages"
    if subprocess.run([*AS_NOBODY, "test", "-x", tool], check=False).returncode:
        pytest.skip("nobody may not read this checkout")
    words = [*AS_NOBODY, tool, "no-such-package-of-podkeeper"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "sudo apt-get install no-such-package-of-podkeeper" in done.stderr
