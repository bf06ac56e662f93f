"""downwardAPI: what the pod may learn about itself, as files, kept up to date.

https://kubernetes.io/docs/concepts/storage/volumes/#downwardapi
"""

from __future__ import annotations

from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.volumes.content import downward_files
from podkeeper.kubelet.volumes.plugin import VolumeContext
from podkeeper.kubelet.volumes.written import write_volume


class DownwardAPIVolume:
    """Fields and resources of the pod in a tmpfs."""

    directory_name = "kubernetes.io~downward-api"

    def claims(self, volume: v1.Volume) -> bool:
        """A downwardAPI source."""
        return volume.downward_api is not None

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Writes the values as they are now."""
        source = volume.downward_api
        assert source is not None
        files = downward_files(context, source.items, source.default_mode)
        directory = context.directory(self.directory_name, volume.name)
        return write_volume(context, directory, files, in_memory=True)
