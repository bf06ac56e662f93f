"""Stopping every container, and removing a cluster without trace: processes, mounts, groups, links, rules, files."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from podkeeper.cluster import settings
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.foundation.mounts import is_mount_point, mounts_below, unmount_below
from podkeeper.foundation.trees import remove_tree
from podkeeper.network.bridge import BridgeConfig, BridgeNetwork, remove_traces
from podkeeper.network.nftables import open_nftables
from podkeeper.network.pod_rules import TABLE
from podkeeper.network.rtnetlink import Netlink
from podkeeper.runtime.cri import RuntimeFailure
from podkeeper.runtime.engine.config import EngineConfig
from podkeeper.runtime.engine.engine import Engine
from podkeeper.runtime.engine.sweep import sweep
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig


def stop_containers(layout: Layout) -> None:
    """Stops every container and frees the pods' network; images and everything stored stay."""
    chosen = settings.load(layout.settings)
    if chosen is not None and layout.runtime.exists():
        asyncio.run(_stop_sandboxes(layout, chosen))


async def _stop_sandboxes(layout: Layout, chosen: settings.Settings) -> None:
    images = ImageStore(ImageStoreConfig(layout.images))
    network = await BridgeNetwork.open(BridgeConfig(layout.network, IPv4Network(chosen.pod_cidr)))
    try:
        config = EngineConfig(layout.runtime, layout.cgroup(chosen.node_name))
        engine = await Engine.open(config, network, images)
        try:
            async with asyncio.TaskGroup() as tasks:
                for sandbox in await engine.list_sandboxes():
                    tasks.create_task(engine.stop_sandbox(sandbox.id))
        finally:
            await engine.close()
    except RuntimeFailure as error:
        raise ClusterError(f"could not stop the containers: {error}", f"look into {layout.log('node')}") from error
    finally:
        network.close()
        await images.close()


def remove_everything(layout: Layout) -> Sequence[str]:
    """Removes all there is and returns what could not be removed, which is nothing when all is well.

    The data directory itself goes when nothing else is in it and no file system is mounted on it.
    """
    entries, chosen, had_network = layout.entries(), settings.load(layout.settings), layout.network.exists()
    try:
        asyncio.run(sweep(layout.runtime))
        if had_network:  # the bridge may be another cluster's otherwise
            remove_traces(layout.network)
        for each in entries:
            unmount_below(each)
    except (RuntimeFailure, OSError) as error:
        return [str(error)]
    left = list(_processes(layout.root)) if entries else []
    if not left:
        _remove_files(layout.root, entries)
    left += [f"file {each}" for each in layout.entries()]
    return [*left, *_remains(layout, chosen), *(_remains_of_network() if had_network else ())]


def _remove_files(root: Path, entries: Sequence[Path]) -> None:
    for each in entries:
        if each.is_dir() and not each.is_symlink():
            remove_tree(each)
        else:
            each.unlink()
    if root.exists() and not is_mount_point(root) and not any(root.iterdir()):
        root.rmdir()


def _remains(layout: Layout, chosen: settings.Settings | None) -> Iterator[str]:
    """Looks at the machine, not at what we believe to have done."""
    for point in mounts_below(layout.root):
        if point.path != layout.root:
            yield f"mount {point.path}"
    if chosen is not None:
        for group in Path("/sys/fs/cgroup").glob(f"**{layout.cgroup(chosen.node_name)}"):
            yield f"control group {group}"


def _remains_of_network() -> Iterator[str]:
    with Netlink() as netlink:
        for link in netlink.links():
            if link.name == BridgeConfig(Path(), IPv4Network(0)).bridge:
                yield f"interface {link.name}"
    for found in open_nftables().query("list tables"):
        if found.get("table", {}).get("name") == TABLE:
            yield f"nftables table {TABLE}"


def _processes(root: Path) -> Iterator[str]:
    """Processes that name the data directory on their command line: components, monitors, runtimes."""
    ours = {os.getpid(), os.getppid()}  # the command that is running, and what may have started it
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(entry.name) not in ours and any(word == str(root) or word.startswith(f"{root}/") for word in words):
            yield f"process {entry.name} ({json.dumps(' '.join(words[:4]))})"
