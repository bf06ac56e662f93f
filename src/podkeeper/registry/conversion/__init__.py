"""Between served versions of one resource: one module per conversion that is more than another apiVersion.

``CONVERSIONS`` lists what is served beside its storage version. What needs more than is written here is refused by name
when the registry is assembled: see ``conversion_for``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.registry.conversion import event, horizontalpodautoscaler
from podkeeper.registry.storage_versions import storage_version

Tree = dict[str, Any]


class UnsupportedVersion(ValueError):
    """A version was switched on that this registry cannot convert."""


class Conversion(Struct, frozen=True):
    """Two functions on plain trees. Each returns a tree of its own when it changes anything but apiVersion and kind.

    ``identical``: only apiVersion differs, so bytes can be converted without being decoded.
    """

    to_storage: Callable[[Tree], Tree]
    from_storage: Callable[[Tree], Tree]
    identical: bool = False


def _same(tree: Tree) -> Tree:
    return tree


IDENTICAL = Conversion(_same, _same, identical=True)

#: (group, version, plural) of a served resource that is stored in another version.
CONVERSIONS: Mapping[tuple[str, str, str], Conversion] = {
    ("events.k8s.io", "v1", "events"): Conversion(event.to_core, event.from_core),
    ("autoscaling", "v1", "horizontalpodautoscalers"): Conversion(
        horizontalpodautoscaler.to_v2, horizontalpodautoscaler.from_v2
    ),
    ("networking.k8s.io", "v1beta1", "ipaddresses"): IDENTICAL,
    ("networking.k8s.io", "v1beta1", "servicecidrs"): IDENTICAL,
    ("storage.k8s.io", "v1beta1", "volumeattributesclasses"): IDENTICAL,
    ("admissionregistration.k8s.io", "v1beta1", "mutatingadmissionpolicies"): IDENTICAL,
    ("admissionregistration.k8s.io", "v1beta1", "mutatingadmissionpolicybindings"): IDENTICAL,
    ("admissionregistration.k8s.io", "v1alpha1", "mutatingadmissionpolicies"): IDENTICAL,
    ("admissionregistration.k8s.io", "v1alpha1", "mutatingadmissionpolicybindings"): IDENTICAL,
    ("certificates.k8s.io", "v1alpha1", "clustertrustbundles"): IDENTICAL,
    ("coordination.k8s.io", "v1alpha2", "leasecandidates"): IDENTICAL,
    ("resource.k8s.io", "v1beta2", "deviceclasses"): IDENTICAL,
    ("resource.k8s.io", "v1beta2", "resourceclaims"): IDENTICAL,
    ("resource.k8s.io", "v1beta2", "resourceclaimtemplates"): IDENTICAL,
    ("resource.k8s.io", "v1beta2", "resourceslices"): IDENTICAL,
    ("resource.k8s.io", "v1alpha3", "devicetaintrules"): IDENTICAL,
}


def conversion_for(resource: Resource) -> Conversion | None:
    """None when ``resource`` is served as it is stored. Raises UnsupportedVersion."""
    if storage_version(resource) == (resource.group, resource.version):
        return None
    conversion = CONVERSIONS.get((resource.group, resource.version, resource.name))
    if conversion is None:
        stored = "/".join(part for part in storage_version(resource) if part)
        raise UnsupportedVersion(
            f"{resource.api_version} {resource.name} cannot be served: there is no conversion from {stored}"
        )
    return conversion
