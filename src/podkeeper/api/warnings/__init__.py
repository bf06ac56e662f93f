"""Warnings: what the API server takes, and says in a Warning header that it should not be so, in upstream's words.

``of(resource, new, old)`` looks at an object that is about to be written, after validation; changes of its status and
through other subresources are none of its business. Templates are looked at again only when the generation has changed.
A kind's own warnings stand in the module of its family, loaded when they are first needed.

Source: https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and upstream's strategies (WarningsOnCreate).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from podkeeper.api.catalogue import Resource

#: (group, kind) -> "module:function" that is given the new object and the old one, None where it is created.
_LOOKS: dict[tuple[str, str], str] = {
    ("", "Endpoints"): "services:endpoints",
    ("", "Node"): "clusterkinds:node",
    ("", "PersistentVolume"): "volumes:persistent_volume",
    ("", "PersistentVolumeClaim"): "volumes:persistent_volume_claim",
    ("", "Pod"): "pods:pod",
    ("", "PodTemplate"): "workloads:pod_template",
    ("", "ReplicationController"): "workloads:named_after_pods",
    ("", "ResourceQuota"): "quotas:resource_quota",
    ("", "Secret"): "secrets:secret",
    ("", "Service"): "services:service",
    ("", "ServiceAccount"): "clusterkinds:service_account",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "definitions:definition",
    ("apps", "DaemonSet"): "workloads:templated",
    ("apps", "Deployment"): "workloads:named_after_pods",
    ("apps", "ReplicaSet"): "workloads:named_after_pods",
    ("apps", "StatefulSet"): "workloads:stateful_set",
    ("batch", "CronJob"): "workloads:cron_job",
    ("batch", "Job"): "workloads:job",
    ("discovery.k8s.io", "EndpointSlice"): "services:endpoint_slice",
    ("networking.k8s.io", "Ingress"): "networking:ingress",
    ("networking.k8s.io", "NetworkPolicy"): "networking:network_policy",
    ("node.k8s.io", "RuntimeClass"): "clusterkinds:runtime_class",
    ("storage.k8s.io", "CSIStorageCapacity"): "volumes:storage_capacity",
    ("storage.k8s.io", "StorageClass"): "volumes:storage_class",
}


class Look(Protocol):
    """What there is to say about an object."""

    def __call__(self, new: Any, old: Any) -> Iterator[str]: ...


def of(resource: Resource, new: Any, old: Any = None) -> Sequence[str]:
    """The warnings about an object that is new (no ``old``) or changed."""
    look = look_of(resource.group, resource.kind)
    return list(look(new, old)) if look is not None else ()


@cache
def look_of(group: str, kind: str) -> Look | None:
    """What looks at objects of a kind; None for one that there is nothing to say about."""
    place = _LOOKS.get((group, kind))
    if place is None:
        return None
    module, _, name = place.partition(":")
    found: Look = getattr(import_module(f"{__name__}.{module}"), name)
    return found
