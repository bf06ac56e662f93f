"""emptyDir: a directory that lives as long as the pod, on the node's disk or in memory.

https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
"""

from __future__ import annotations

from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.foundation.mounts import mount_tmpfs
from podkeeper.kubelet.resources import ZERO, pod_limit
from podkeeper.kubelet.volumes.ownership import give_to_group, owned_already
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure


class EmptyDir:
    """``medium: ""`` is a directory, ``Memory`` a tmpfs of at most sizeLimit and the pod's memory limit."""

    directory_name = "kubernetes.io~empty-dir"

    def claims(self, volume: v1.Volume) -> bool:
        """Also a volume without any source, as upstream defaults it."""
        return volume.empty_dir is not None

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Makes it once; what the pod wrote stays."""
        source = volume.empty_dir or v1.EmptyDirVolumeSource()
        directory = context.directory(self.directory_name, volume.name)
        fresh = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        if source.medium == "Memory":
            if not directory.is_mount():
                mount_tmpfs(directory, memory_size(context.pod, source))
        elif source.medium:
            raise VolumeFailure(f"emptyDir medium {source.medium} is not supported by this node")
        if fresh:
            directory.chmod(0o777)
        if context.fs_group is not None and not owned_already(directory, context.fs_group):
            give_to_group(directory, context.fs_group)
        return directory


def memory_size(pod: v1.Pod, source: v1.EmptyDirVolumeSource) -> int | None:
    """Bytes of a memory-backed emptyDir: the smaller of sizeLimit and the pod's memory limit; None for neither."""
    limited = pod_limit(pod, "memory")
    limits = [limited.value()] if limited else []
    if source.size_limit is not None and source.size_limit > ZERO:
        limits.append(source.size_limit.value())
    return min(limits, default=None)
