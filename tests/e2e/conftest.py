"""The cluster that the end-to-end tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from cluster_harness import CONTEXTS, Cluster, Namespace


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the images busybox and nginx. Its end is a check of its own: reset leaves nothing behind."""
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    namespace = Namespace(f"pk-e2e-{os.getpid()}", "192.168.97.10")
    data_dir = tmp_path_factory.mktemp("cluster") / "data"
    namespace.create()
    cluster = Cluster(namespace, data_dir, f"e2e-{os.getpid()}")
    try:
        cluster.up()
        for name in ("busybox", "nginx"):
            cluster.podkeeper("image build", "-t", name, CONTEXTS / name)
        yield cluster
        cluster.podkeeper("reset --yes")
        assert not data_dir.exists()
    finally:
        if data_dir.exists():
            print(cluster.logs())
            cluster.podkeeper("reset --yes", check=False)
        namespace.remove()
        shutil.rmtree(data_dir, ignore_errors=True)
