"""secret: the keys of a Secret as files in memory, kept up to date.

https://kubernetes.io/docs/concepts/storage/volumes/#secret
"""

from __future__ import annotations

from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.volumes.content import secret_files
from podkeeper.kubelet.volumes.plugin import VolumeContext
from podkeeper.kubelet.volumes.written import write_volume


class SecretVolume:
    """One Secret in a tmpfs."""

    directory_name = "kubernetes.io~secret"

    def claims(self, volume: v1.Volume) -> bool:
        """A secret source."""
        return volume.secret is not None

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Writes what the Secret holds now."""
        source = volume.secret
        assert source is not None
        files = await secret_files(
            context, source.secret_name, source.items, optional=bool(source.optional), mode=source.default_mode
        )
        directory = context.directory(self.directory_name, volume.name)
        return write_volume(context, directory, files, in_memory=True)
