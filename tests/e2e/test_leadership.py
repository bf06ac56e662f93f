"""Two controllers' processes on one cluster: one acts, and the other takes over when the first is killed or stops."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cluster_harness import PODKEEPER, Cluster, Namespace, eventually

LEASE = ("lease", "kube-controller-manager", "kube-system")
QUICK = ("--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=0.3s")


class Components:
    """A cluster's components as processes of this test, without a supervisor."""

    def __init__(self, cluster: Cluster, stack: ExitStack) -> None:
        self.cluster, self._stack = cluster, stack

    def start(self, component: str, *flags: str) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self.cluster.data_dir / "logs" / "test.log").open("ab"))
        words = [*self.cluster.namespace.enter, str(PODKEEPER), component, "--data-dir", str(self.cluster.data_dir)]
        process = subprocess.Popen([*words, *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def holder(self) -> str:
        """Who holds the controllers' lease."""
        return str(self.cluster.get(*LEASE)["spec"].get("holderIdentity", ""))

    def act(self, name: str) -> None:
        """Controllers are at work: a new namespace gets its service account."""
        self.cluster.kubectl("create", "namespace", name)
        self.cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=20s")


@pytest.fixture
def components(tmp_path: Path) -> Iterator[Components]:
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    namespace = Namespace(f"pk-lead-{os.getpid()}", "192.168.96.10")
    cluster = Cluster(namespace, tmp_path / "data", f"lead-{os.getpid()}")
    namespace.create()
    try:
        cluster.up()
        cluster.podkeeper("down")
        with ExitStack() as stack:
            yield Components(cluster, stack)
            print(cluster.logs())
        cluster.podkeeper("reset --yes")
    finally:
        namespace.remove()
        shutil.rmtree(cluster.data_dir, ignore_errors=True)


def test_one_acts_and_the_other_takes_over(components: Components) -> None:
    identity_file = components.cluster.data_dir / "run" / "controllers.identity"
    components.start("apiserver")
    first = components.start("controllers", *QUICK)
    stable = identity_file.read_text()
    eventually(lambda: components.cluster.kubectl("get", "--raw=/readyz", check=False).returncode == 0)
    eventually(lambda: components.holder() == stable)
    components.act("one")

    second = components.start("controllers", *QUICK)
    log = components.cluster.data_dir / "logs" / "test.log"
    eventually(lambda: "kube-controller-manager as" in log.read_text() and "stands by" in log.read_text())
    assert components.holder() == stable
    first.kill()
    heir = eventually(lambda: (who := components.holder()) not in ("", stable) and who)
    components.act("two")

    components.start("controllers", *QUICK)  # goes by the first one's name, and waits
    components.act("three")
    assert components.holder() == heir
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    eventually(lambda: components.holder() == stable)
    components.act("four")
    assert components.cluster.get(*LEASE)["spec"]["leaseTransitions"] == 3  # by first, second, and third
