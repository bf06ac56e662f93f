"""PersistentVolumeClaims.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#persistentvolumeclaims
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from podkeeper.api import names
from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.core import v1

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_MODES = ("Block", "Filesystem")
_IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def persistent_volume_claim(found: Found, obj: v1.PersistentVolumeClaim) -> None:
    """A new claim."""
    claim_spec(found, "spec", obj.spec)


def persistent_volume_claim_update(found: Found, new: v1.PersistentVolumeClaim, old: v1.PersistentVolumeClaim) -> None:
    """A bound claim may grow; an unbound one is bound by its volume's name."""
    claim_spec(found, "spec", new.spec)
    after, before = new.spec, old.spec
    bound = old.status.phase == "Bound"
    munged = after
    if not before.volume_name:
        munged = replace(munged, volume_name="")
    if before.storage_class_name is None:  # the default class may be filled in later
        munged = replace(munged, storage_class_name=None)
    wanted, had = after.resources.requests.get("storage"), before.resources.requests.get("storage")
    if bound:
        munged = replace(munged, resources=replace(munged.resources, requests=before.resources.requests))
        munged = replace(munged, volume_attributes_class_name=before.volume_attributes_class_name)
    if munged != before:
        found.forbidden("spec", _IMMUTABLE)
    elif wanted is not None and had is not None and wanted < had:
        given = new.status.capacity.get("storage")
        if given is None or wanted <= given:
            found.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def claim_spec(found: Found, at: str, spec: v1.PersistentVolumeClaimSpec) -> None:
    """What a claim, or a template of claims, asks for."""
    if not spec.access_modes:
        found.required(f"{at}.accessModes", "at least 1 access mode is required")
    access_modes(found, f"{at}.accessModes", spec.access_modes)
    label_selector(found, f"{at}.selector", spec.selector)
    size = spec.resources.requests.get("storage")
    if size is None:
        found.required(f"{at}.resources[storage]")
    elif size.sign() <= 0:
        found.invalid(f"{at}.resources[storage]", str(size), "must be greater than zero")
    if spec.storage_class_name:
        found.check(f"{at}.storageClassName", spec.storage_class_name, names.dns_subdomain)
    if spec.volume_mode and spec.volume_mode not in _MODES:
        found.unsupported(f"{at}.volumeMode", spec.volume_mode, _MODES)


def access_modes(found: Found, at: str, modes: tuple[str, ...]) -> None:
    """Known modes; the one for a single pod stands alone."""
    for mode in modes:
        if mode not in ACCESS_MODES:
            found.unsupported(at, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        found.forbidden(at, "may not use ReadWriteOncePod with other access modes")
