"""Files of one volume that lie upon or within each other: what is written later hides what was there.

Source: upstream's pkg/api/pod (warningsForOverlappingVirtualPaths).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from podkeeper.api.core import v1


class _File(NamedTuple):
    """A file and whose it is (empty where that needs no saying)."""

    path: str
    source: str = ""

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'


def of_overlapping_paths(volumes: Sequence[v1.Volume]) -> Iterator[str]:
    """About volumes of config maps, secrets, the downward API, and of several of these."""
    for volume in volumes:
        for what, items in _single(volume):
            for one, other in _overlaps(_files(items)):
                yield f'volume "{volume.name}" ({what}): overlapping paths: {one} with {other}'
        if volume.projected is not None:
            yield from _projected(volume.name, volume.projected)


def _single(volume: v1.Volume) -> Iterator[tuple[str, Sequence[Any]]]:
    if volume.config_map is not None:
        yield f'ConfigMap "{volume.config_map.name}"', volume.config_map.items
    if volume.secret is not None:
        yield f'Secret "{volume.secret.secret_name}"', volume.secret.items
    if volume.downward_api is not None:
        yield "DownwardAPI", volume.downward_api.items


def _projected(name: str, projected: v1.ProjectedVolumeSource) -> Iterator[str]:
    files: list[_File] = []
    for source in projected.sources:
        if not any(getattr(source, each) is not None for each in source.__struct_fields__):
            yield f'volume "{name}" (Projected) has no sources provided'
        files += _of_source(source)
    for one, other in _overlaps(files):
        yield f'volume "{name}" (Projected): overlapping paths: {one} with {other}'


def _of_source(source: v1.VolumeProjection) -> list[_File]:
    if source.config_map is not None and source.config_map.items:
        return _files(source.config_map.items, f'ConfigMap "{source.config_map.name}"')
    if source.secret is not None and source.secret.items:
        return _files(source.secret.items, f'Secret "{source.secret.name}"')
    if source.downward_api is not None and source.downward_api.items:
        return _files(source.downward_api.items, "DownwardAPI")
    if source.service_account_token is not None:
        return [_File(source.service_account_token.path, "ServiceAccountToken")]
    if source.cluster_trust_bundle is not None:
        bundle = source.cluster_trust_bundle
        return [_File(bundle.path, f'ClusterTrustBundle "{bundle.name or bundle.signer_name}"')]
    if source.pod_certificate is not None:
        certificate = source.pod_certificate
        named = (
            _File(certificate.certificate_chain_path, "PodCertificate chain"),
            _File(certificate.key_path, "PodCertificate key"),
            _File(certificate.credential_bundle_path, "PodCertificate credential bundle"),
        )
        return [each for each in named if each.path]
    return []


def _files(items: Iterable[Any], source: str = "") -> list[_File]:
    return [_File(each.path, source) for each in items]


def _overlaps(files: Iterable[_File]) -> Iterator[tuple[_File, _File]]:
    seen: list[_File] = []
    for given in files:
        file = given._replace(path=given.path.rstrip("/"))
        for other in seen:
            if file.path and other.path and (_holds(file, other) or _holds(other, file)):
                yield file, other
        seen.append(file)


def _holds(outer: _File, inner: _File) -> bool:
    return f"{inner.path}/".startswith(f"{outer.path}/")
