"""Every kind's strategy: a row of rules where that is enough, else a class of a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podkeeper.api.catalogue import Resource
from podkeeper.registry.cache.resource import ResourceCache
from podkeeper.registry.strategies.apiextensions.customresourcedefinition import CustomResourceDefinitionStrategy
from podkeeper.registry.strategies.apiregistration.apiservice import APIServiceStrategy
from podkeeper.registry.strategies.apps.daemonset import DaemonSetStrategy
from podkeeper.registry.strategies.apps.deployment import DeploymentStrategy
from podkeeper.registry.strategies.base import Rules, Strategy
from podkeeper.registry.strategies.batch.job import JobStrategy
from podkeeper.registry.strategies.certificates.certificatesigningrequest import CertificateSigningRequestStrategy
from podkeeper.registry.strategies.core.namespace import NamespaceStrategy
from podkeeper.registry.strategies.core.node import NodeStrategy
from podkeeper.registry.strategies.core.persistentvolume import PersistentVolumeStrategy
from podkeeper.registry.strategies.core.persistentvolumeclaim import PersistentVolumeClaimStrategy
from podkeeper.registry.strategies.core.pod import PodStrategy
from podkeeper.registry.strategies.core.secret import SecretStrategy
from podkeeper.registry.strategies.core.service import ServiceAllocators, ServiceStrategy
from podkeeper.registry.strategies.core.serviceaccount import ServiceAccountStrategy
from podkeeper.registry.strategies.discovery.endpointslice import EndpointSliceStrategy
from podkeeper.registry.strategies.scheduling.priorityclass import PriorityClassStrategy

_WORKLOAD = Rules(generation=True, status=True)
_COUNTED = Rules(generation=True)
_RBAC = Rules(create_on_update=True)

#: By (group, plural) of what is stored. Kinds without a row follow ``Rules()``, with a status where they have the
#: subresource.
RULES: Mapping[tuple[str, str], Rules] = {
    ("", "endpoints"): Rules(create_on_update=True),
    ("", "events"): Rules(create_on_update=True),
    ("", "limitranges"): Rules(create_on_update=True),
    ("", "podtemplates"): _COUNTED,
    ("", "replicationcontrollers"): Rules(generation=True, status=True, orphan_by_default=True),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): Rules(generation=True, unconditional_update=False),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): Rules(
        generation=True, unconditional_update=False
    ),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): Rules(
        generation=True, unconditional_update=False
    ),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): Rules(
        generation=True, status=True, status_keeps_metadata=True, unconditional_update=False
    ),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): Rules(
        generation=True, unconditional_update=False
    ),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): Rules(
        generation=True, unconditional_update=False
    ),
    ("apps", "replicasets"): _WORKLOAD,
    ("apps", "statefulsets"): _WORKLOAD,
    ("batch", "cronjobs"): _WORKLOAD,
    ("coordination.k8s.io", "leases"): Rules(create_on_update=True, unconditional_update=False),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): Rules(generation=True, status=True, status_keeps_metadata=True),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): Rules(
        generation=True, status=True, status_keeps_metadata=True
    ),
    ("networking.k8s.io", "ingressclasses"): _COUNTED,
    ("networking.k8s.io", "ingresses"): _WORKLOAD,
    ("networking.k8s.io", "networkpolicies"): _COUNTED,
    ("node.k8s.io", "runtimeclasses"): Rules(unconditional_update=False),
    ("policy", "poddisruptionbudgets"): Rules(generation=True, status=True, unconditional_update=False),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _RBAC,
    ("rbac.authorization.k8s.io", "clusterroles"): _RBAC,
    ("rbac.authorization.k8s.io", "rolebindings"): _RBAC,
    ("rbac.authorization.k8s.io", "roles"): _RBAC,
    ("resource.k8s.io", "deviceclasses"): _COUNTED,
    ("resource.k8s.io", "resourceclaims"): Rules(status=True, status_keeps_metadata=True),
    ("resource.k8s.io", "resourceslices"): _COUNTED,
    ("storage.k8s.io", "csidrivers"): Rules(generation=True, unconditional_update=False),
    ("storage.k8s.io", "csinodes"): Rules(unconditional_update=False),
    ("storage.k8s.io", "csistoragecapacities"): Rules(unconditional_update=False),
    ("storage.k8s.io", "volumeattachments"): Rules(status=True, status_keeps_metadata=True, unconditional_update=False),
}

#: By (group, plural): kinds with behaviour of their own.
CLASSES: Mapping[tuple[str, str], Callable[[], Strategy]] = {
    ("", "namespaces"): NamespaceStrategy,
    ("", "nodes"): NodeStrategy,
    ("", "persistentvolumeclaims"): PersistentVolumeClaimStrategy,
    ("", "persistentvolumes"): PersistentVolumeStrategy,
    ("", "pods"): PodStrategy,
    ("", "secrets"): SecretStrategy,
    ("", "serviceaccounts"): ServiceAccountStrategy,
    ("apiextensions.k8s.io", "customresourcedefinitions"): CustomResourceDefinitionStrategy,
    ("apiregistration.k8s.io", "apiservices"): APIServiceStrategy,
    ("apps", "daemonsets"): DaemonSetStrategy,
    ("apps", "deployments"): DeploymentStrategy,
    ("batch", "jobs"): JobStrategy,
    ("certificates.k8s.io", "certificatesigningrequests"): CertificateSigningRequestStrategy,
    ("discovery.k8s.io", "endpointslices"): EndpointSliceStrategy,
    ("scheduling.k8s.io", "priorityclasses"): PriorityClassStrategy,
}


class Strategies:
    """Finds the strategy of a stored resource. Services get allocators over the service network and the port range."""

    def __init__(self, service_cidr: str, node_ports: tuple[int, int], caches: Mapping[str, ResourceCache]) -> None:
        self._allocators = ServiceAllocators(service_cidr, node_ports)
        services = caches.get("/services/")
        for item in services.items.values() if services is not None else ():
            self._allocators.take_in(item.tree())
        self._made: dict[tuple[str, str], Strategy] = {}

    def of(self, stored: Resource) -> Strategy:
        """The one strategy of a stored resource."""
        name = (stored.group, stored.name)
        if name not in self._made:
            self._made[name] = self._make(stored)
        return self._made[name]

    def _make(self, stored: Resource) -> Strategy:
        name = (stored.group, stored.name)
        if name == ("", "services"):
            return ServiceStrategy(self._allocators)
        if name in CLASSES:
            return CLASSES[name]()
        return Strategy(RULES.get(name) or Rules(status="status" in stored.subresources))
