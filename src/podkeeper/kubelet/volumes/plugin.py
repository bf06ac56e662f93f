"""The shape of a volume plugin, and what every one of them is given.

A volume lives in ``PODS/UID/volumes/PLUGIN/NAME``. ``set_up`` may be called any number of times: it brings the volume
from whatever is there to what the API says now, so that it is also how a changed ConfigMap reaches a running pod.
Tearing down needs no plugin: a volume is its directory and what is mounted below it (``mounts.remove_tree``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.kubelet.downward import NodeFacts
from podkeeper.kubelet.objects import PodObjects
from podkeeper.kubelet.tokens import TokenSource


class VolumeFailure(Exception):
    """A volume cannot be set up; the text is what the FailedMount event says."""


class VolumeContext(Struct, frozen=True):
    """One pod's view for its volumes. ``pods_dir`` is the kubelet's, ``pod_ips`` are known once the sandbox is."""

    pod: v1.Pod
    pods_dir: Path
    objects: PodObjects
    tokens: TokenSource
    node: NodeFacts
    pod_ips: tuple[str, ...] = ()

    def directory(self, plugin: str, name: str) -> Path:
        """Where a volume of that name lives."""
        return volumes_dir(self.pods_dir, self.pod.metadata.uid) / plugin / name

    @property
    def fs_group(self) -> int | None:
        """The group that volumes are given to."""
        context = self.pod.spec.security_context
        return context.fs_group if context else None


class VolumePlugin(Protocol):
    """One kind of volume."""

    @property
    def directory_name(self) -> str:
        """Upstream's name of the plugin's directory, e.g. ``kubernetes.io~configmap``."""
        ...

    def claims(self, volume: v1.Volume) -> bool:
        """Whether ``volume`` is of this kind."""
        ...

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Makes or refreshes the volume and returns its path on the node. Raises VolumeFailure or OSError."""
        ...


def volumes_dir(pods_dir: Path, uid: str) -> Path:
    """The directory of one pod's volumes."""
    return pods_dir / uid / "volumes"
