"""What the machine shows of a cluster, looked at from outside: nothing here asks the product what is left."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cluster_harness import Cluster

from podkeeper.cluster.layout import Layout


def group(cluster: Cluster) -> str:
    """The control group that everything of the cluster's node is below."""
    return Layout.at(cluster.data_dir).cgroup(cluster.node_name)


def traces(cluster: Cluster) -> dict[str, list[str]]:
    """What the machine shows of a cluster, looked at from outside: nothing here asks the product what is left."""
    root = str(cluster.data_dir)
    links = json.loads(cluster.run("ip", "-j", "link").stdout)
    tables = json.loads(cluster.run("nft", "-j", "list", "tables").stdout)["nftables"]
    return {
        "processes": [_shown(each) for each in Path("/proc").iterdir() if _belongs(each, root, cluster)],
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if f"{root}/" in line],
        "groups": [
            str(each) for top in ("", "*/") for each in Path("/sys/fs/cgroup").glob(f"{top}{group(cluster)[1:]}")
        ],
        "links": [each["ifname"] for each in links if each["ifname"] not in ("lo", "node0")],
        "tables": [each["table"]["name"] for each in tables if "table" in each],
        "files": [root] if cluster.data_dir.exists() else [],
    }


def _shown(entry: Path) -> str:
    """A process for a failing test's message."""
    try:
        return f"{entry.name}: {(entry / 'cmdline').read_text()} {(entry / 'status').read_text()[:200]}"
    except (FileNotFoundError, ProcessLookupError):
        return f"{entry.name}, ended meanwhile"


def _belongs(entry: Path, root: str, cluster: Cluster) -> bool:
    """A process is the cluster's when it names its directory, or is in its groups or its network."""
    if not entry.name.isdigit():
        return False
    try:
        if "\nState:\tZ" in (entry / "status").read_text():
            return False  # it has ended and holds nothing; the machine's init is about to collect it
        named = root in (entry / "cmdline").read_text() or group(cluster) in (entry / "cgroup").read_text()
        return named or os.stat(entry / "ns/net").st_ino == os.stat(f"/run/netns/{cluster.namespace.name}").st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it ended meanwhile
