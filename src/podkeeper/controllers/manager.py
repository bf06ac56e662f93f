"""All controllers together: the list of what runs, in one place, over shared informers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from podkeeper.client.api import Api
from podkeeper.client.events import EventRecorder
from podkeeper.client.informer import InformerFactory
from podkeeper.client.queue_figures import QueueFigures
from podkeeper.controllers.bootstrap_tokens import BootstrapTokenCleaning
from podkeeper.controllers.certificates.approving import CertificateApproval
from podkeeper.controllers.certificates.cleaning import CertificateCleaning
from podkeeper.controllers.certificates.signing import CertificateSigning
from podkeeper.controllers.deployment import Deployments
from podkeeper.controllers.disruption import DisruptionBudgets
from podkeeper.controllers.endpoint_mirroring import EndpointMirroring
from podkeeper.controllers.endpoint_slices import EndpointSlices
from podkeeper.controllers.endpoints import EndpointsObjects
from podkeeper.controllers.framework import Controller, Counted, Tools, run_controller
from podkeeper.controllers.garbage_collector import GarbageCollector
from podkeeper.controllers.namespaces import Namespaces
from podkeeper.controllers.node_lifecycle import NodeLifecycle
from podkeeper.controllers.pod_gc import PodGarbage
from podkeeper.controllers.protection.attributes_classes import AttributesClassProtection
from podkeeper.controllers.protection.claims import ClaimProtection
from podkeeper.controllers.protection.volumes import VolumeProtection
from podkeeper.controllers.replica_set import ReplicaSets
from podkeeper.controllers.replication_controller import ReplicationControllers
from podkeeper.controllers.root_ca import RootCertificates
from podkeeper.controllers.service_accounts import ServiceAccounts
from podkeeper.controllers.stale_disruption import StaleDisruptions
from podkeeper.controllers.taint_eviction import TaintEviction
from podkeeper.controllers.token_secrets import TokenSecrets
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family, Sample
from podkeeper.foundation.keyfiles import KeyPair

#: Who upstream's events say that they come from, where that is not the controller's name.
EVENT_SOURCES = {
    "disruption-controller": "controllermanager",
    "endpointslice-controller": "endpoint-slice-controller",
    "endpointslicemirroring-controller": "endpoint-slice-mirroring-controller",
}
#: Upstream's names of the controllers' queues, by class; the others' are their controllers' names.
QUEUES = {
    "AttributesClassProtection": "vacprotection",
    "CertificateApproval": "certificate_approving",
    "CertificateSigning": "certificate",
    "ClaimProtection": "pvcprotection",
    "Deployments": "deployment",
    "DisruptionBudgets": "disruption",
    "EndpointMirroring": "endpoint_slice_mirroring",
    "EndpointSlices": "endpoint_slice",
    "EndpointsObjects": "endpoint",
    "GarbageCollector": "garbage_collector_attempt_to_delete",
    "Namespaces": "namespace",
    "NodeLifecycle": "node_lifecycle_controller",
    "PodGarbage": "orphaned_pods_nodes",
    "ReplicaSets": "replicaset",
    "ReplicationControllers": "replicationmanager",
    "RootCertificates": "root_ca_cert_publisher",
    "ServiceAccounts": "serviceaccount",
    "StaleDisruptions": "stale_pod_disruption",
    "TaintEviction": "noexec_taint_pod",
    "TokenSecrets": "serviceaccount_tokens_secret",
    "VolumeProtection": "pvprotection",
}


class ControllersConfig(Struct, frozen=True):
    """``root_certificate`` is the PEM certificate that pods verify the API server with. Without ``authority`` nobody
    signs certificate requests, without ``token_key`` Secrets get no tokens."""

    root_certificate: str
    authority: KeyPair | None = None
    token_key: Path | None = None


def default_controllers(config: ControllersConfig, tools: Callable[[str], Tools]) -> Sequence[Controller]:
    """Every controller there is. ``tools`` gives each its own, by its name: events tell who says something."""
    return (
        Namespaces(tools(Namespaces.name)),
        ServiceAccounts(tools(ServiceAccounts.name)),
        RootCertificates(tools(RootCertificates.name), config.root_certificate),
        NodeLifecycle(tools(NodeLifecycle.name)),
        TaintEviction(tools(TaintEviction.name)),
        PodGarbage(tools(PodGarbage.name)),
        ReplicaSets(tools(ReplicaSets.name)),
        ReplicationControllers(tools(ReplicationControllers.name)),
        Deployments(tools(Deployments.name)),
        EndpointSlices(tools(EndpointSlices.name)),
        EndpointsObjects(tools(EndpointsObjects.name)),
        EndpointMirroring(tools(EndpointMirroring.name)),
        DisruptionBudgets(tools(DisruptionBudgets.name)),
        StaleDisruptions(tools(StaleDisruptions.name)),
        GarbageCollector(tools(GarbageCollector.name)),
        ClaimProtection(tools(ClaimProtection.name)),
        VolumeProtection(tools(VolumeProtection.name)),
        AttributesClassProtection(tools(AttributesClassProtection.name)),
        BootstrapTokenCleaning(tools(BootstrapTokenCleaning.name)),
        CertificateApproval(tools(CertificateApproval.name)),
        CertificateCleaning(tools(CertificateCleaning.name)),
        *_with_keys(config, tools),
    )


def _with_keys(config: ControllersConfig, tools: Callable[[str], Tools]) -> Iterator[Controller]:
    if config.authority is not None:
        yield CertificateSigning(tools(CertificateSigning.name), config.authority)
    if config.token_key is not None:
        yield TokenSecrets(tools(TokenSecrets.name), config.token_key, config.root_certificate)


class ControllerManager:
    """Runs the controllers until cancelled. The informers are run by whoever made them."""

    def __init__(self, config: ControllersConfig, api: Api, informers: InformerFactory, clock: Clock) -> None:
        self._clock, self._recorders = clock, list[EventRecorder]()
        self._queues = QueueFigures(clock)

        def tools(name: str) -> Tools:
            self._recorders.append(EventRecorder(api, EVENT_SOURCES.get(name, name), clock=clock))
            return Tools(api, informers, clock, self._recorders[-1])

        self.controllers = default_controllers(config, tools)

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the controllers."""
        labels = [{"manager": "kube-controller-manager", "name": each.name} for each in self.controllers]
        running = Family("running_managed_controllers", "gauge", "1 for what runs.", lambda: _each_once(labels))
        own = [family for each in self.controllers if isinstance(each, Counted) for family in each.families()]
        return (*self._queues.families(), running, *own)

    async def run(self) -> None:
        """One task a controller."""
        async with asyncio.TaskGroup() as tasks:
            for recorder in self._recorders:
                tasks.create_task(recorder.run(), name=repr(recorder))
            for controller in self.controllers:
                tally = self._queues.of(QUEUES.get(type(controller).__name__, controller.name))
                tasks.create_task(run_controller(controller, self._clock, tally), name=controller.name)


def _each_once(labels: Sequence[Mapping[str, str]]) -> Iterator[Sample]:
    """A gauge of 1 by labels; a name that two share counts once."""
    for values in {each["name"]: each for each in labels}.values():
        yield values, 1
