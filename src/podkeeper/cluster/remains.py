"""What the machine shows of a cluster: looked at from outside, whatever we believe to have done."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from podkeeper.cluster import process_table
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.process_table import Listed
from podkeeper.foundation.cgroups import detect
from podkeeper.foundation.mounts import mounts_below
from podkeeper.network.bridge import BridgeConfig
from podkeeper.network.nftables import open_nftables
from podkeeper.network.pod_rules import TABLE
from podkeeper.network.rtnetlink import Netlink

_COMPONENTS = ("supervisor", "node", "controllers", "scheduler", "apiserver")
_OCI_RUNTIMES = ("crun", "runc")
_ENGINE_PROGRAMS = (*_OCI_RUNTIMES, "conmon")


def components(layout: Layout) -> list[Listed]:
    """The cluster's own processes, supervisor first, whether or not they know of each other."""
    root = str(layout.root)

    def name(words: Sequence[str]) -> str:
        """``... COMPONENT --data-dir ROOT``"""
        triples = zip(words, words[1:], words[2:], strict=False)
        return next((each for each, *rest in triples if each in _COMPONENTS and rest == ["--data-dir", root]), "")

    return sorted(
        process_table.find(lambda words: bool(name(words))), key=lambda one: _COMPONENTS.index(name(one.words))
    )


def engine_programs(layout: Layout) -> list[Listed]:
    """Monitors and OCI runtimes that work in the cluster's directory."""
    below = f"{layout.root}/"

    def works_there(words: Sequence[str]) -> bool:
        return os.path.basename(words[0]) in _ENGINE_PROGRAMS and any(word.startswith(below) for word in words)

    return process_table.find(works_there)


def sandbox_starts(layout: Layout) -> list[Listed]:
    """OCI runtimes that are making an infra container: they are not yet in the cluster's control group."""
    found = engine_programs(layout)
    return [each for each in found if os.path.basename(each.words[0]) in _OCI_RUNTIMES and "run" in each.words]


def control_groups(layout: Layout) -> list[Path]:
    """The directories of the groups of the cluster and of its builds, in every hierarchy, whatever the node."""
    return [group for top in detect().hierarchies for group in top.glob(f"podkeeper-*-{layout.digest}*")]


def of_machine(layout: Layout) -> Iterator[str]:
    """Processes, mounts and control groups, each in words for an operator."""
    yield from (str(each) for each in (*components(layout), *engine_programs(layout)))
    for point in mounts_below(layout.root):
        if point.path != layout.root:
            yield f"mount {point.path}"
    yield from (f"control group {each}" for each in control_groups(layout))


def of_network() -> Iterator[str]:
    """The bridge and the rules, in this network namespace."""
    with Netlink() as netlink:
        for link in netlink.links():
            if link.name == BridgeConfig(Path(), IPv4Network(0)).bridge:
                yield f"interface {link.name}"
    for found in open_nftables().query("list tables"):
        if found.get("table", {}).get("name") == TABLE:
            yield f"nftables table {TABLE}"
