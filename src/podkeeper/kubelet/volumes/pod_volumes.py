"""All volumes of one pod: set up before its containers, refreshed while it runs, removed after it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.foundation.mounts import remove_tree
from podkeeper.kubelet.expansion import expand_strictly
from podkeeper.kubelet.pods import all_containers
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure
from podkeeper.kubelet.volumes.plugins import plugin_for
from podkeeper.kubelet.volumes.sub_path import pin_sub_path
from podkeeper.runtime.cri import Mount, MountPropagation

log = logging.getLogger(__name__)

VolumePaths = Mapping[str, Path]

_PROPAGATION = {
    "": MountPropagation.PRIVATE,
    "None": MountPropagation.PRIVATE,
    "HostToContainer": MountPropagation.HOST_TO_CONTAINER,
    "Bidirectional": MountPropagation.BIDIRECTIONAL,
}


async def set_up_volumes(context: VolumeContext) -> VolumePaths:
    """Brings every volume that a container mounts to its present content. Raises VolumeFailure naming the first
    that could not be."""
    wanted = {mount.name for container in all_containers(context.pod) for mount in container.volume_mounts}
    paths: dict[str, Path] = {}
    for volume in context.pod.spec.volumes:
        if volume.name not in wanted:
            continue
        try:
            paths[volume.name] = await plugin_for(volume).set_up(context, volume)
        except (VolumeFailure, OSError) as error:
            raise VolumeFailure(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
    return paths


def volume_mounts(
    context: VolumeContext, container: v1.Container, paths: VolumePaths, variables: Mapping[str, str]
) -> list[Mount]:
    """The mounts of one container. ``variables`` is its environment, for subPathExpr. Raises VolumeFailure."""
    return [_mount(context, container, index, paths, variables) for index in range(len(container.volume_mounts))]


def _mount(
    context: VolumeContext, container: v1.Container, index: int, paths: VolumePaths, variables: Mapping[str, str]
) -> Mount:
    mount = container.volume_mounts[index]
    path = paths.get(mount.name)
    if path is None:
        raise VolumeFailure(f'cannot find volume "{mount.name}" to mount into container "{container.name}"')
    sub_path = mount.sub_path
    if mount.sub_path_expr:
        try:
            sub_path = expand_strictly(mount.sub_path_expr, variables)
        except KeyError as error:
            raise VolumeFailure(f"missing value for {error.args[0]!r} in subPathExpr") from error
    if sub_path:
        pinned = sub_paths_dir(context.pods_dir, context.pod.metadata.uid) / mount.name / container.name / str(index)
        path = _pin(path, sub_path, pinned, f'volumeMount "{mount.name}" of container "{container.name}"')
    recursive = mount.recursive_read_only in ("Enabled", "IfPossible")
    target = mount.mount_path if mount.mount_path.startswith("/") else f"/{mount.mount_path}"
    return Mount(
        container_path=target,
        host_path=str(path),
        readonly=bool(mount.read_only),
        recursive_readonly=bool(mount.read_only) and recursive,
        propagation=_PROPAGATION[mount.mount_propagation or ""],
    )


def _pin(volume: Path, sub_path: str, target: Path, what: str) -> Path:
    """The cause of a failure stays in the node's log: it could tell a pod's owner about files of the node."""
    try:
        return pin_sub_path(volume, sub_path, target)
    except VolumeFailure as error:
        log.warning("subPath for %s: %s", what, error)
        raise VolumeFailure(f"failed to prepare subPath for {what}") from error


def sub_paths_dir(pods_dir: Path, uid: str) -> Path:
    """Where a pod's pinned sub-paths are."""
    return pods_dir / uid / "volume-subpaths"


def tear_down_volumes(pods_dir: Path, uid: str) -> None:
    """Unmounts and removes everything that the pod's volumes left. Raises OSError."""
    remove_tree(sub_paths_dir(pods_dir, uid))
    remove_tree(pods_dir / uid / "volumes")
