"""In which network namespace a cluster's bridge and rules are: what ends the cluster must be there to remove them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMED = Path("/run/netns")


def remember(layout: Layout) -> None:
    """Writes down this process's network namespace. Its number means something during this boot alone."""
    here = {"boot": _BOOT.read_text().strip(), "namespace": _number(Path("/proc/self/ns/net"))}
    file = _file(layout)
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(here))
    temporary.replace(file)


def check(layout: Layout) -> None:
    """Raises ClusterError when the cluster's network is in another namespace, which is still there."""
    try:
        known = json.loads(_file(layout).read_text())
    except (FileNotFoundError, ValueError):
        return
    here = _number(Path("/proc/self/ns/net"))
    if known.get("boot") != _BOOT.read_text().strip() or known.get("namespace") == here:
        return
    place = next((each for each in _places() if _number(each) == known.get("namespace")), None)
    if place is not None:
        raise ClusterError(
            f"the cluster in {layout.root} has its network in another network namespace",
            f"the same command after: nsenter --net={place}",
        )


def _file(layout: Layout) -> Path:
    return layout.run / "network-namespace.json"


def _places() -> Iterator[Path]:
    """Names of network namespaces, and processes in them."""
    yield from _NAMED.iterdir() if _NAMED.is_dir() else ()
    yield from (Path("/proc", name, "ns/net") for name in os.listdir("/proc") if name.isdigit())


def _number(place: Path) -> int:
    """The namespace's inode; 0 where a process has just ended."""
    try:
        return place.stat().st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
