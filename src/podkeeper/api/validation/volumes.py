"""Volumes of a pod: unique names, exactly one source each, and what a source needs.

Source: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from podkeeper.api import names
from podkeeper.api.validation.environment import VOLUME_FIELDS, object_field, resource_field
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import file_mode, no_backsteps, projected

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_FIRST = ("emptyDir", "hostPath")
_MIN_TOKEN_SECONDS = 600
_MAX_TOKEN_SECONDS = 1 << 32
_MAX_DRIVER_NAME = 63
#: Members that a source cannot do without, for the sources that have no further rules.
_NEEDED = {
    "awsElasticBlockStore": ("volumeID",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "rbd": ("monitors", "image"),
    "azureFile": ("secretName", "shareName"),
    "azureDisk": ("diskName", "diskURI"),
    "vsphereVolume": ("volumePath",),
    "quobyte": ("registry", "volume"),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
    "flexVolume": ("driver",),
    "csi": ("driver",),
    "persistentVolumeClaim": ("claimName",),
    "nfs": ("server", "path"),
    "hostPath": ("path",),
    "configMap": ("name",),
    "secret": ("secretName",),
    "ephemeral": ("volumeClaimTemplate",),
}


def csi_driver_name(found: Found, at: str, name: str) -> None:
    """The name of a driver, which also names its socket's folder."""
    if not name:
        found.required(at)
        return
    if len(name) > _MAX_DRIVER_NAME:
        found.too_long(at, _MAX_DRIVER_NAME)
    found.check(at, name.lower(), names.dns_subdomain)


def volumes(found: Found, at: str, listed: tuple[v1.Volume, ...]) -> dict[str, v1.Volume]:
    """Judges a pod's volumes and returns by name those that are good: only they can be mounted."""
    known: dict[str, v1.Volume] = {}
    for index, volume in enumerate(listed):
        path, before = f"{at}[{index}]", len(found)
        _one_source(found, path, volume)
        if not volume.name:
            found.required(f"{path}.name")
        else:
            found.check(f"{path}.name", volume.name, names.dns_label)
        if volume.name in known:
            found.duplicate(f"{path}.name", volume.name)
        if len(found) == before:
            known[volume.name] = volume
    return known


def needed(found: Found, at: str, kind: str, source: msgspec.Struct) -> None:
    """The members that a source of that kind cannot do without."""
    for member in _NEEDED.get(kind, ()):
        if not getattr(source, _attributes(type(source))[member]):
            found.required(f"{at}.{member}")


def host_path(found: Found, at: str, source: v1.HostPathVolumeSource) -> None:
    """A path of the node, which never steps up, and what must be there."""
    no_backsteps(found, f"{at}.path", source.path)
    if source.type not in _HOST_PATH_TYPES:
        found.unsupported(f"{at}.type", source.type, _HOST_PATH_TYPES)


def nfs(found: Found, at: str, source: v1.NFSVolumeSource) -> None:
    """An absolute path of a server."""
    if source.path and not source.path.startswith("/"):
        found.invalid(f"{at}.path", source.path, "must be an absolute path")


@cache
def _attributes(cls: type[msgspec.Struct]) -> dict[str, str]:
    """Encoded name -> attribute; the two commonest sources first, as in upstream, where the order shows."""
    every = {each.encode_name: each.name for each in msgspec.structs.fields(cls)}
    return {name: every[name] for name in _FIRST if name in every} | every


def _one_source(found: Found, at: str, volume: v1.Volume) -> None:
    first = ""
    for kind, attribute in _attributes(type(volume)).items():
        source = getattr(volume, attribute) if attribute != "name" else None
        if source is None:
            continue
        if first:
            found.forbidden(f"{at}.{kind}", "may not specify more than 1 volume type")
            continue
        first = kind
        needed(found, f"{at}.{kind}", kind, source)
        rule = _RULES.get(kind)
        if rule is not None:
            rule(found, f"{at}.{kind}", source)
    if not first:
        found.required(at, "must specify a volume type")


def _empty_dir(found: Found, at: str, source: v1.EmptyDirVolumeSource) -> None:
    if source.size_limit is not None and source.size_limit.sign() < 0:
        found.forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _keys(found: Found, at: str, source: Any) -> None:
    file_mode(found, f"{at}.defaultMode", getattr(source, "default_mode", None))
    for path, item in indexed(f"{at}.items", source.items):
        if not item.key:
            found.required(f"{path}.key")
        projected(found, f"{path}.path", item.path)
        file_mode(found, f"{path}.mode", item.mode)


def _downward(found: Found, at: str, source: v1.DownwardAPIVolumeSource | v1.DownwardAPIProjection) -> None:
    file_mode(found, f"{at}.defaultMode", getattr(source, "default_mode", None))
    for each in source.items:
        projected(found, f"{at}.path", each.path)
        if each.field_ref is not None:
            object_field(found, f"{at}.fieldRef", each.field_ref, VOLUME_FIELDS)
            if each.resource_field_ref is not None:
                why = "fieldRef and resourceFieldRef can not be specified simultaneously"
                found.invalid(at, "resource", why)
        elif each.resource_field_ref is not None:
            resource_field(found, f"{at}.resourceFieldRef", each.resource_field_ref, in_volume=True)
        else:
            found.required(at, "one of fieldRef and resourceFieldRef is required")
        file_mode(found, f"{at}.mode", each.mode)


def _projected(found: Found, at: str, source: v1.ProjectedVolumeSource) -> None:
    file_mode(found, f"{at}.defaultMode", source.default_mode)
    taken: set[str] = set()
    for path, each in indexed(f"{at}.sources", source.sources):
        given = [
            (name, value)
            for name, value in (
                ("secret", each.secret),
                ("downwardAPI", each.downward_api),
                ("configMap", each.config_map),
                ("serviceAccountToken", each.service_account_token),
                ("clusterTrustBundle", each.cluster_trust_bundle),
                ("podCertificate", each.pod_certificate),
            )
            if value is not None
        ]
        if len(given) > 1:
            found.forbidden(path, "may not specify more than 1 volume type per source")
        for name, value in given:
            _projection(found, f"{path}.{name}", name, value)
            _distinct(found, at, value, taken)


def _projection(found: Found, at: str, name: str, value: Any) -> None:
    if name in ("secret", "configMap"):
        if not value.name:
            found.required(f"{at}.name")
        _keys(found, at, value)
    elif name == "downwardAPI":
        _downward(found, at, value)
    elif name == "serviceAccountToken":
        _token(found, at, value)
    elif name == "clusterTrustBundle":
        projected(found, f"{at}.path", value.path)


def _token(found: Found, at: str, token: v1.ServiceAccountTokenProjection) -> None:
    seconds = token.expiration_seconds
    if seconds is not None and seconds < _MIN_TOKEN_SECONDS:
        found.invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    elif seconds is not None and seconds > _MAX_TOKEN_SECONDS:
        found.invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    projected(found, f"{at}.path", token.path)


def _distinct(found: Found, at: str, value: Any, taken: set[str]) -> None:
    listed = [item.path for item in getattr(value, "items", ())]
    listed += [value.path] if getattr(value, "path", "") else []
    for path in listed:
        if path in taken:
            found.invalid(at, path, "conflicting duplicate paths")
        taken.add(path)


_RULES: dict[str, Any] = {
    "hostPath": host_path,
    "emptyDir": _empty_dir,
    "nfs": nfs,
    "secret": _keys,
    "configMap": _keys,
    "downwardAPI": _downward,
    "projected": _projected,
}
