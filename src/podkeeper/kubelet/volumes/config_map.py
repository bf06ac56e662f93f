"""configMap: the keys of a ConfigMap as files, kept up to date.

https://kubernetes.io/docs/concepts/storage/volumes/#configmap
"""

from __future__ import annotations

from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.volumes.content import config_map_files
from podkeeper.kubelet.volumes.plugin import VolumeContext
from podkeeper.kubelet.volumes.written import write_volume


class ConfigMapVolume:
    """One ConfigMap in a directory."""

    directory_name = "kubernetes.io~configmap"

    def claims(self, volume: v1.Volume) -> bool:
        """A configMap source."""
        return volume.config_map is not None

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Writes what the ConfigMap holds now."""
        source = volume.config_map
        assert source is not None
        files = await config_map_files(
            context, source.name, source.items, optional=bool(source.optional), mode=source.default_mode
        )
        directory = context.directory(self.directory_name, volume.name)
        return write_volume(context, directory, files, in_memory=False)
