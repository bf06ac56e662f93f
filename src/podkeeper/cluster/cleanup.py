"""Stopping every container, and removing a cluster without trace: processes, mounts, groups, links, rules, files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from podkeeper.cluster import process_table, remains, settings
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.foundation.mounts import is_mount_point, unmount_below
from podkeeper.foundation.trees import remove_tree
from podkeeper.network.bridge import BridgeConfig, BridgeNetwork, remove_traces
from podkeeper.runtime.engine.config import EngineConfig
from podkeeper.runtime.engine.engine import Engine
from podkeeper.runtime.engine.sweep import sweep
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

#: How long an OCI runtime that a killed node has left at work may take to end.
OCI_SECONDS = 10.0


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

    The cluster's own processes must have ended. The data directory itself goes when nothing else is in it and no file
    system is mounted on it.
    """
    entries, had_network = layout.entries(), layout.network.exists()
    process_table.wait(remains.sandbox_starts(layout), OCI_SECONDS)
    try:
        asyncio.run(_sweep(layout))
        if had_network:  # the bridge may be another cluster's otherwise
            remove_traces(layout.network)
        for each in entries:
            unmount_below(each)
    except (RuntimeFailure, OSError) as error:
        return [str(error)]
    left = list(remains.of_machine(layout))
    if not left:
        _remove_files(layout.root, entries)
    left += [f"file {each}" for each in layout.entries()]
    return [*left, *(remains.of_network() if had_network else ())]


async def _sweep(layout: Layout) -> None:
    groups = {f"/{group.name}" for group in remains.control_groups(layout)}
    await sweep(layout.runtime, sorted(groups))
    for build in sorted(layout.builds.iterdir()) if layout.builds.is_dir() else ():
        await sweep(build)


def _remove_files(root: Path, entries: Sequence[Path]) -> None:
    for each in entries:
        if each.is_dir() and not each.is_symlink():
            remove_tree(each)
        else:
            each.unlink()
    if root.exists() and not is_mount_point(root) and not any(root.iterdir()):
        root.rmdir()
