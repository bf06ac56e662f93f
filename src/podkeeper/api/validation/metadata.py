"""ObjectMeta of every kind: names by the kind's rule, labels, annotations, owners, finalizers, and what never changes.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and the ObjectMeta reference page.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

from podkeeper.api import names
from podkeeper.api.catalogue import Resource
from podkeeper.api.meta.v1.objectmeta import ObjectMeta, OwnerReference
from podkeeper.api.names import Check
from podkeeper.api.validation.fields import Found, indexed

ANNOTATIONS_LIMIT = 256 * 1024
_CRON_JOB_NAME_LIMIT = 52
UNKNOWN_FINALIZER = "name is neither a standard finalizer name nor is it fully qualified"
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_FREE_FINALIZERS = ("apiextensions.k8s.io", "apiregistration.k8s.io")
_RBAC = "rbac.authorization.k8s.io"
_IMMUTABLE = (
    ("name", "name"),
    ("namespace", "namespace"),
    ("uid", "uid"),
    ("creation_timestamp", "creationTimestamp"),
    ("deletion_timestamp", "deletionTimestamp"),
    ("deletion_grace_period_seconds", "deletionGracePeriodSeconds"),
)


def _cron_job_name(value: str) -> tuple[str, ...]:
    found = names.dns_subdomain(value)
    if len(value) > _CRON_JOB_NAME_LIMIT:  # the jobs get eleven characters more
        return (*found, names.length_message(_CRON_JOB_NAME_LIMIT))
    return found


def _address(value: str) -> tuple[str, ...]:
    try:
        canonical = str(ipaddress.ip_address(value))
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return () if canonical == value else (f'must be in canonical form ("{canonical}")',)


_BY_KIND: dict[tuple[str, str], Check] = {
    ("", "Namespace"): names.dns_label,
    ("", "Event"): names.path_segment,
    ("", "Service"): names.dns_label,
    ("apiregistration.k8s.io", "APIService"): names.path_segment,
    ("certificates.k8s.io", "CertificateSigningRequest"): names.path_segment,
    ("apps", "StatefulSet"): names.dns_label,
    ("batch", "CronJob"): _cron_job_name,
    (_RBAC, "Role"): names.path_segment,
    (_RBAC, "ClusterRole"): names.path_segment,
    (_RBAC, "RoleBinding"): names.path_segment,
    (_RBAC, "ClusterRoleBinding"): names.path_segment,
    ("networking.k8s.io", "IPAddress"): _address,
}


def name_check(resource: Resource) -> Check:
    """The rule for names of a kind: an RFC 1123 subdomain unless it has one of its own."""
    return _BY_KIND.get((resource.group, resource.kind), names.dns_subdomain)


def on_create(found: Found, resource: Resource, meta: ObjectMeta) -> None:
    """All rules for a new object's metadata."""
    check = name_check(resource)
    if meta.generate_name:
        for message in names.for_prefix(check, meta.generate_name):
            found.invalid("metadata.generateName", meta.generate_name, message)
    if not meta.name:
        found.required("metadata.name", "name or generateName is required")
    else:
        found.check("metadata.name", meta.name, _cached(check))
    if resource.namespaced:
        _namespace(found, meta.namespace)
    elif meta.namespace:
        found.forbidden("metadata.namespace", "not allowed on this type")
    found.not_negative("metadata.generation", meta.generation)
    _shared(found, meta)
    finalizer_list(found, "metadata.finalizers", meta.finalizers)
    _known_finalizers(found, resource, meta.finalizers)


def on_update(found: Found, resource: Resource, new: ObjectMeta, old: ObjectMeta) -> None:
    """What never changes, and the parts that may."""
    if (new.generation or 0) < (old.generation or 0):
        found.invalid("metadata.generation", new.generation or 0, "must not be decremented")
    for attribute, name in _IMMUTABLE:
        after, before = getattr(new, attribute), getattr(old, attribute)
        if after != before:
            found.unchanged(f"metadata.{name}", after or None, before)
    _shared(found, new)
    _known_finalizers(found, resource, new.finalizers)


def of_template(found: Found, at: str, meta: ObjectMeta) -> None:
    """The metadata of a template, which need have no name."""
    label_map(found, f"{at}.labels", meta.labels)
    annotation_map(found, f"{at}.annotations", meta.annotations)
    finalizer_list(found, f"{at}.finalizers", meta.finalizers)


def label_map(found: Found, at: str, pairs: Mapping[str, str]) -> None:
    """Keys and values of labels."""
    for key, value in pairs.items():
        found.check(at, key, names.label_key)
        found.check(at, value, names.label_value)


def annotation_map(found: Found, at: str, pairs: Mapping[str, str]) -> None:
    """Keys of annotations, compared without regard to case, and their whole size."""
    size = 0
    for key, value in pairs.items():
        for message in names.label_key(key.lower()):
            found.invalid(at, key, message)
        size += len(key.encode()) + len(value.encode())
    if size > ANNOTATIONS_LIMIT:
        found.too_long(at, ANNOTATIONS_LIMIT)


def finalizer_list(found: Found, at: str, listed: Sequence[str]) -> None:
    """Qualified names; orphaning and foreground deletion exclude each other."""
    for each in listed:
        found.check(at, each, names.qualified_name)
    if "orphan" in listed and "foregroundDeletion" in listed:
        found.invalid(at, list(listed), "finalizer orphan and foregroundDeletion cannot be both set")


def _known_finalizers(found: Found, resource: Resource, listed: Sequence[str]) -> None:
    """A finalizer of a built-in kind that has no domain must be one that the server knows."""
    if not listed or not resource.type_name or resource.group in _FREE_FINALIZERS:
        return
    for path, each in indexed("metadata.finalizers", listed):
        if "/" not in each and each not in _STANDARD_FINALIZERS:
            found.invalid(path, each, UNKNOWN_FINALIZER)


def _shared(found: Found, meta: ObjectMeta) -> None:
    if meta.labels:
        label_map(found, "metadata.labels", meta.labels)
    if meta.annotations:
        annotation_map(found, "metadata.annotations", meta.annotations)
    if meta.owner_references:
        _owners(found, "metadata.ownerReferences", meta.owner_references)


def _namespace(found: Found, namespace: str) -> None:
    if not namespace:
        found.required("metadata.namespace")
    else:
        found.check("metadata.namespace", namespace, _cached(names.dns_label))


def _owners(found: Found, at: str, owners: Sequence[OwnerReference]) -> None:
    controller = ""
    for owner in owners:
        _owner(found, at, owner)
        if not owner.controller:
            continue
        if controller:
            why = "Only one reference can have Controller set to true. "
            why += f'Found "true" in references for {controller} and {owner.kind}/{owner.name}'
            found.invalid(at, owners, why)
        else:
            controller = f"{owner.kind}/{owner.name}"


def _owner(found: Found, at: str, owner: OwnerReference) -> None:
    if not owner.api_version:
        found.invalid(f"{at}.apiVersion", owner.api_version, "version must not be empty")
    for name, value in (("kind", owner.kind), ("name", owner.name), ("uid", owner.uid)):
        if not value:
            found.invalid(f"{at}.{name}", value, "must not be empty")
    if owner.kind == "Event" and owner.api_version == "v1":
        found.invalid(at, owner, "/v1, Kind=Event is disallowed from being an owner")


@lru_cache(maxsize=32)
def _cached(check: Check) -> Check:
    """The same check, remembering the names of a cluster's usual size."""
    return lru_cache(maxsize=1024)(check)
