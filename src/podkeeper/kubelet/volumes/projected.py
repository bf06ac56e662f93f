"""projected: several sources in one directory, service account tokens among them.

https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""

from __future__ import annotations

from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.volumes.content import Files, config_map_files, downward_files, secret_files, token_file
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure
from podkeeper.kubelet.volumes.written import write_volume


class ProjectedVolume:
    """All sources merged in a tmpfs; a later source wins a path."""

    directory_name = "kubernetes.io~projected"

    def claims(self, volume: v1.Volume) -> bool:
        """A projected source."""
        return volume.projected is not None

    async def set_up(self, context: VolumeContext, volume: v1.Volume) -> Path:
        """Writes what the sources hold now; tokens that are due are renewed."""
        assert volume.projected is not None
        files: Files = {}
        for source in volume.projected.sources:
            files |= await _files(context, source, volume.projected.default_mode)
        directory = context.directory(self.directory_name, volume.name)
        return write_volume(context, directory, files, in_memory=True)


async def _files(context: VolumeContext, source: v1.VolumeProjection, mode: int | None) -> Files:
    if source.service_account_token is not None:
        return await token_file(context, source.service_account_token, mode)
    if source.config_map is not None:
        chosen = source.config_map
        return await config_map_files(context, chosen.name, chosen.items, optional=bool(chosen.optional), mode=mode)
    if source.secret is not None:
        secret = source.secret
        return await secret_files(context, secret.name, secret.items, optional=bool(secret.optional), mode=mode)
    if source.downward_api is not None:
        return downward_files(context, source.downward_api.items, mode)
    if source.cluster_trust_bundle is not None:
        raise VolumeFailure("projected source clusterTrustBundle is not supported by this node")
    if source.pod_certificate is not None:
        raise VolumeFailure("projected source podCertificate is not supported by this node")
    return {}
