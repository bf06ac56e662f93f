"""Which version of a resource is stored. One table: what is not named here is stored in the version it is served in.

A resource served in several versions has one storage, so that all of them show the same objects at the same revisions.
Two groups may share one storage too: core events and those of events.k8s.io are the same objects.
"""

from __future__ import annotations

from collections.abc import Mapping

from podkeeper.api.catalogue import Resource

#: (group, plural) -> (group, version) of what is stored.
STORED_AS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("events.k8s.io", "events"): ("", "v1"),
    ("autoscaling", "horizontalpodautoscalers"): ("autoscaling", "v2"),
    ("networking.k8s.io", "ipaddresses"): ("networking.k8s.io", "v1"),
    ("networking.k8s.io", "servicecidrs"): ("networking.k8s.io", "v1"),
    ("storage.k8s.io", "volumeattributesclasses"): ("storage.k8s.io", "v1"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): ("admissionregistration.k8s.io", "v1"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): ("admissionregistration.k8s.io", "v1"),
    ("certificates.k8s.io", "clustertrustbundles"): ("certificates.k8s.io", "v1beta1"),
    ("coordination.k8s.io", "leasecandidates"): ("coordination.k8s.io", "v1beta1"),
    ("resource.k8s.io", "deviceclasses"): ("resource.k8s.io", "v1"),
    ("resource.k8s.io", "resourceclaims"): ("resource.k8s.io", "v1"),
    ("resource.k8s.io", "resourceclaimtemplates"): ("resource.k8s.io", "v1"),
    ("resource.k8s.io", "resourceslices"): ("resource.k8s.io", "v1"),
    ("resource.k8s.io", "devicetaintrules"): ("resource.k8s.io", "v1beta2"),
}


def storage_version(resource: Resource) -> tuple[str, str]:
    """Group and version in which objects of ``resource`` are stored."""
    return STORED_AS.get((resource.group, resource.name), (resource.group, resource.version))


def is_stored(resource: Resource) -> bool:
    """Whether objects of this resource are kept at all; reviews, bindings and componentstatuses are only answered."""
    return "create" in resource.verbs and "get" in resource.verbs
