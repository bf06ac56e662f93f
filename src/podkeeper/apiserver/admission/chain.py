"""The admission chain: every plugin in upstream's order, and which of them a kind of write concerns."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from podkeeper.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from podkeeper.apiserver.admission.defaultclasses import DefaultIngressClass, DefaultStorageClass
from podkeeper.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from podkeeper.apiserver.admission.figures import AdmissionFigures
from podkeeper.apiserver.admission.limitranger import LimitRanger
from podkeeper.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from podkeeper.apiserver.admission.noderestriction import NodeRestriction
from podkeeper.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from podkeeper.apiserver.admission.plugin import Plugin
from podkeeper.apiserver.admission.podnodeselector import PodNodeSelector
from podkeeper.apiserver.admission.podsecurity.plugin import PodSecurity
from podkeeper.apiserver.admission.podtopologylabels import PodTopologyLabels
from podkeeper.apiserver.admission.policies.mutating import MutatingAdmissionPolicy
from podkeeper.apiserver.admission.policies.validating import ValidatingAdmissionPolicy
from podkeeper.apiserver.admission.priority import Priority
from podkeeper.apiserver.admission.rbacescalation import RbacEscalation
from podkeeper.apiserver.admission.reinvocation import take_second_pass
from podkeeper.apiserver.admission.resourcequota import ResourceQuota
from podkeeper.apiserver.admission.runtimeclass import RuntimeClass
from podkeeper.apiserver.admission.serviceaccount import ServiceAccount
from podkeeper.apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from podkeeper.apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from podkeeper.apiserver.audit.annotation import annotate
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.config import AdmissionConfig
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.streaming.service_endpoints import EndpointResolver
from podkeeper.apiserver.webhooks.calls import Calls
from podkeeper.apiserver.webhooks.client import WebhookClient
from podkeeper.apiserver.webhooks.mutating import MutatingAdmissionWebhook
from podkeeper.apiserver.webhooks.relevance import Relevance
from podkeeper.apiserver.webhooks.validating import ValidatingAdmissionWebhook
from podkeeper.foundation.clock import Clock
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.verbs import Registry

_Key = tuple[Operation, str, str, str]
_WORDS = ("false", "true")
#: A plugin's name, and what it does at this point.
_Steps = tuple[tuple[str, Callable[[Attributes], Awaitable[None]]], ...]


class Surroundings(Struct, frozen=True):
    """What plugins work with."""

    live: LiveObjects
    authorizer: Authorizer
    clock: Clock
    webhooks: WebhookClient
    figures: AdmissionFigures


def plugins(config: AdmissionConfig, given: Surroundings) -> Sequence[Plugin]:
    """All plugins, in the order in which they are asked: upstream's."""
    live = given.live
    relevance = Relevance(live, given.authorizer.rbac)
    every: list[Plugin] = [
        NamespaceLifecycle(live),
        LimitRanger(live),
        ServiceAccount(live),
        NodeRestriction(live),
        TaintNodesByCondition(live),
        PodSecurity(live, config.pod_security),
        PodNodeSelector(live, config),
        Priority(live),
        DefaultTolerationSeconds(live, config),
        DefaultStorageClass(live),
        StorageObjectInUseProtection(live),
        PersistentVolumeClaimResize(live),
        RuntimeClass(live),
        CertificateApproval(live, given.authorizer),
        CertificateSigning(live, given.authorizer),
        ClusterTrustBundleAttest(live, given.authorizer),
        CertificateSubjectRestriction(live),
        DefaultIngressClass(live),
        PodTopologyLabels(live),
        RbacEscalation(live, given.authorizer),
        MutatingAdmissionPolicy(live, given.authorizer.rbac),
        MutatingAdmissionWebhook(live, Calls(given.webhooks, given.figures.webhooks, "admit"), relevance),
        ValidatingAdmissionPolicy(live, given.authorizer.rbac, given.figures),
        ValidatingAdmissionWebhook(live, Calls(given.webhooks, given.figures.webhooks, "validate"), relevance),
        ResourceQuota(live, given.clock),
    ]
    return [plugin for plugin in every if plugin.name not in config.disabled]


class AdmissionChain:
    """Implements ``registry.admission.Admission``. ``connect`` gives it the registry it judges writes of."""

    def __init__(self, config: AdmissionConfig | None = None) -> None:
        self._config = config or AdmissionConfig()
        self._plugins: Sequence[Plugin] = ()
        self._mutating: dict[_Key, _Steps] = {}
        self._validating: dict[_Key, _Steps] = {}
        self.figures = AdmissionFigures()
        self._webhooks: WebhookClient | None = None

    def connect(self, registry: Registry, authorizer: Authorizer, clock: Clock) -> None:
        """From now on writes are judged; until then everything passes, there being nobody to write."""
        live = LiveObjects(registry)
        self._webhooks = WebhookClient(EndpointResolver(live))
        self._plugins = plugins(self._config, Surroundings(live, authorizer, clock, self._webhooks, self.figures))
        self._mutating.clear()
        self._validating.clear()

    def close(self) -> None:
        """Ends the connections to webhooks."""
        if self._webhooks is not None:
            self._webhooks.close()

    async def mutate(self, attributes: Attributes) -> None:
        """Asks every plugin that this kind of write concerns and that changes things; a second time if that is due."""
        await self._pass(attributes)
        if take_second_pass(attributes):
            await self._pass(attributes)

    async def _pass(self, attributes: Attributes) -> None:
        key = _key(attributes)
        chosen = self._mutating.get(key)
        if chosen is None:
            chosen = self._mutating[key] = tuple(
                (each.name, each.mutate)
                for each in self._plugins
                if _overrides(each, "mutate") and each.interest.covers(attributes)
            )
        await self._take(chosen, "admit", attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Asks every plugin that this kind of write concerns and that only judges."""
        key = _key(attributes)
        chosen = self._validating.get(key)
        if chosen is None:
            chosen = self._validating[key] = tuple(
                (each.name, each.validate)
                for each in self._plugins
                if _overrides(each, "validate") and each.interest.covers(attributes)
            )
        await self._take(chosen, "validate", attributes)

    async def _take(self, steps: _Steps, kind: str, attributes: Attributes) -> None:
        """One plugin after the other, each with a look at the clock."""
        begun, refused = time.perf_counter(), True
        try:
            for name, judge in steps:
                started, rejected = time.perf_counter(), True
                try:
                    await judge(attributes)
                    rejected = False
                finally:
                    took = time.perf_counter() - started
                    self.figures.plugins.of(name, attributes.operation, _WORDS[rejected], kind).observe(took)
            refused = False
        finally:
            took = time.perf_counter() - begun
            self.figures.steps.of(attributes.operation, _WORDS[refused], kind).observe(took)
            annotate(attributes.annotations)


def _overrides(plugin: Plugin, method: str) -> bool:
    return getattr(type(plugin), method) is not getattr(Plugin, method)


def _key(attributes: Attributes) -> _Key:
    resource = attributes.resource
    return attributes.operation, resource.group, resource.name, attributes.subresource
