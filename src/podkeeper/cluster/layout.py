"""Where a cluster keeps what: every path below the data directory, in one place.

D/cluster.json        settings chosen at the first start        D/admin.kubeconfig   for people
D/pki/                certificates and keys (0700)              D/logs/              one log a component
D/store/              the API server's log                      D/run/               locks and process ids
D/node/               runtime, images, network, pods
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from podkeeper.cluster.errors import ClusterError

DEFAULT_DATA_DIR = Path("/var/lib/podkeeper")
#: Names below the data directory. The second are of files in the making, which the process's end may leave behind.
OURS = frozenset({"cluster.json", "admin.kubeconfig", "pki", "store", "run", "logs", "node"})
IN_THE_MAKING = ("cluster.new", ".admin.kubeconfig.")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one cluster. ``root`` is absolute and without links, as mount tables and process lists show it."""

    root: Path

    @classmethod
    def at(cls, path: str | Path) -> Layout:
        """The layout below ``path``, made absolute, its links followed."""
        return cls(Path(path).resolve())

    def create(self) -> None:
        """Makes the directories that hold secrets or state, closed to others. Raises ClusterError in a foreign one."""
        if not self.settings.exists() and (foreign := self.foreign()):
            raise ClusterError(
                f"{self.root} holds other things, such as {foreign[0].name}, and no cluster",
                "give --data-dir a new or an empty directory",
            )
        for directory in (self.root, self.pki, self.store, self.run, self.logs, self.node):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def entries(self) -> list[Path]:
        """What there is of ours directly below the root: all that may ever be removed of it."""
        return [each for each in self._present() if _is_ours(each.name)]

    def foreign(self) -> list[Path]:
        """What there is of others directly below the root; a file system's own directory does not count."""
        return [each for each in self._present() if not _is_ours(each.name) and each.name != "lost+found"]

    def _present(self) -> list[Path]:
        return sorted(self.root.iterdir()) if self.root.exists() else []

    @property
    def settings(self) -> Path:
        """The cluster's settings."""
        return self.root / "cluster.json"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's credentials."""
        return self.root / "admin.kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def store(self) -> Path:
        """The store's directory."""
        return self.root / "store"

    @property
    def run(self) -> Path:
        """Locks and process ids; nothing here outlives a reboot in meaning."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """Component logs."""
        return self.root / "logs"

    @property
    def node(self) -> Path:
        """Everything of the node."""
        return self.root / "node"

    @property
    def runtime(self) -> Path:
        """The container engine's state."""
        return self.node / "runtime"

    @property
    def images(self) -> Path:
        """Images and snapshots."""
        return self.node / "images"

    @property
    def builds(self) -> Path:
        """A directory for each image build that runs."""
        return self.node / "builds"

    @property
    def network(self) -> Path:
        """The pod network's allocations."""
        return self.node / "network"

    @property
    def kubelet(self) -> Path:
        """Pod directories and the kubelet's own state."""
        return self.node / "kubelet"

    @property
    def pod_logs(self) -> Path:
        """Container logs by pod."""
        return self.node / "logs"

    @property
    def digest(self) -> str:
        """A short name of the data directory, which no other one on the machine has."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    def cgroup(self, node_name: str) -> str:
        """The control group of everything that the node runs, ``/podkeeper-NODE-DIGEST``.

        The name is for people; the digest of the directory tells clusters apart whose nodes have one name.
        """
        return f"/podkeeper-{node_name}-{self.digest}"

    def kubeconfig(self, component: str) -> Path:
        """The kubeconfig of one of our own components."""
        return self.pki / f"{component}.kubeconfig"

    def log(self, component: str) -> Path:
        """The log of one component."""
        return self.logs / f"{component}.log"


def _is_ours(name: str) -> bool:
    return name in OURS or name.startswith(IN_THE_MAKING)
