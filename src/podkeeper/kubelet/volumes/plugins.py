"""The list of volume plugins, and the one place where a kind of volume is refused."""

from __future__ import annotations

from podkeeper.api.core import v1
from podkeeper.kubelet.volumes.config_map import ConfigMapVolume
from podkeeper.kubelet.volumes.downward_api import DownwardAPIVolume
from podkeeper.kubelet.volumes.empty_dir import EmptyDir
from podkeeper.kubelet.volumes.host_path import HostPath
from podkeeper.kubelet.volumes.plugin import VolumeFailure, VolumePlugin
from podkeeper.kubelet.volumes.projected import ProjectedVolume
from podkeeper.kubelet.volumes.secret import SecretVolume

PLUGINS: tuple[VolumePlugin, ...] = (
    EmptyDir(),
    HostPath(),
    ConfigMapVolume(),
    SecretVolume(),
    DownwardAPIVolume(),
    ProjectedVolume(),
)


def plugin_for(volume: v1.Volume) -> VolumePlugin:
    """The plugin that claims ``volume``. Raises VolumeFailure with the kind's name when none does."""
    for plugin in PLUGINS:
        if plugin.claims(volume):
            return plugin
    raise VolumeFailure(f"{_kind(volume)} volumes are not supported by this node")


def _kind(volume: v1.Volume) -> str:
    pairs = zip(volume.__struct_fields__, volume.__struct_encode_fields__, strict=True)
    kinds = (wire for field, wire in pairs if field != "name" and getattr(volume, field) is not None)
    return next(kinds, "unnamed")
