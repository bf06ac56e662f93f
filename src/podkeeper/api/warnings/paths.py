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
        if volume.projected is not None:
            yield from _projected(volume.name, volume.projected)
            continue
        for what, items in _single(volume):
            for one, other in _overlaps([_File(each.path) for each in items]):
                yield f'volume "{volume.name}" ({what}): overlapping paths: {one} with {other}'


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
        found = _of_source(source)
        if found is None:
            yield f'volume "{name}" (Projected) has no sources provided'
        else:
            files += found
    for one, other in _overlaps(files):
        yield f'volume "{name}" (Projected): overlapping paths: {one} with {other}'


def _of_source(source: v1.VolumeProjection) -> list[_File] | None:
    """The files of a source; None where it is none."""
    if source.service_account_token is not None:
        return [_File(source.service_account_token.path, "ServiceAccountToken")]
    if source.config_map is not None:
        return _files(source.config_map.items, f'ConfigMap "{source.config_map.name}"')
    if source.downward_api is not None:
        return _files(source.downward_api.items, "DownwardAPI")
    if source.secret is not None:
        return _files(source.secret.items, f'Secret "{source.secret.name}"')
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
    return None


def _files(items: Iterable[Any], source: str) -> list[_File]:
    return [_File(each.path, source) for each in items]


def _overlaps(files: Sequence[_File]) -> Iterator[tuple[_File, _File]]:
    plain = [file.path.rstrip("/") for file in files]
    if len(set(plain)) == len(plain) and not any("/" in each for each in plain):
        return  # as nearly always: names, each once
    seen: list[_File] = []
    for given, path in zip(files, plain, strict=True):
        file = given._replace(path=path)
        for other in seen:
            if path and other.path and (_holds(path, other.path) or _holds(other.path, path)):
                yield file, other
        seen.append(file)


def _holds(outer: str, inner: str) -> bool:
    return f"{inner}/".startswith(f"{outer}/")
