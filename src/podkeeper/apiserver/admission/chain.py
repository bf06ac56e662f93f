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
from podkeeper.foundation.exposition import Histogram
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.verbs import Registry

_Key = tuple[Operation, str, str, str]
#: A plugin's name, what it does at this point, and where it is noted how long that takes.
_Step = tuple[str, Callable[[Attributes], Awaitable[None]], Histogram]
#: What figures call the two ways in which a plugin is asked, and how that may end.
_KINDS = {"mutate": "admit", "validate": "validate"}
_ACCEPTED, _REFUSED = "false", "true"


class Pass(Struct, frozen=True):
    """The plugins that one kind of write concerns, in their order."""

    kind: str
    steps: tuple[_Step, ...]
    figure: Histogram


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
    relevance = Relevance(live, given.authorizer)
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
        MutatingAdmissionPolicy(live, given.authorizer),
        MutatingAdmissionWebhook(live, Calls(given.webhooks, given.figures.webhooks, "admit"), relevance),
        ValidatingAdmissionPolicy(live, given.authorizer, given.figures),
        ValidatingAdmissionWebhook(live, Calls(given.webhooks, given.figures.webhooks, "validate"), relevance),
        ResourceQuota(live, given.clock),
    ]
    return [plugin for plugin in every if plugin.name not in config.disabled]


class AdmissionChain:
    """Implements ``registry.admission.Admission``. ``connect`` gives it the registry it judges writes of."""

    def __init__(self, config: AdmissionConfig | None = None) -> None:
        self._config = config or AdmissionConfig()
        self._plugins: Sequence[Plugin] = ()
        self._mutating: dict[_Key, Pass] = {}
        self._validating: dict[_Key, Pass] = {}
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
        await self._take(self._mutating, "mutate", attributes)
        if take_second_pass(attributes):
            await self._take(self._mutating, "mutate", attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Asks every plugin that this kind of write concerns and that only judges."""
        await self._take(self._validating, "validate", attributes)

    async def _take(self, known: dict[_Key, Pass], method: str, attributes: Attributes) -> None:
        """One plugin after the other, with a look at the clock after each."""
        key = _key(attributes)
        chosen = known.get(key)
        if chosen is None:
            chosen = known[key] = self._choose(method, attributes)
        begun = last = time.perf_counter()
        asked = ""
        try:
            for asked, judge, figure in chosen.steps:  # noqa: B007 - the one that refuses is named
                await judge(attributes)
                now = time.perf_counter()
                figure.observe(now - last)
                last = now
            chosen.figure.observe(last - begun)
        except BaseException:
            now = time.perf_counter()
            self.figures.plugins.of(asked, attributes.operation, _REFUSED, chosen.kind).observe(now - last)
            self.figures.steps.of(attributes.operation, _REFUSED, chosen.kind).observe(now - begun)
            raise
        finally:
            annotate(attributes.annotations)

    def _choose(self, method: str, attributes: Attributes) -> Pass:
        kind, operation = _KINDS[method], attributes.operation
        figures = self.figures.plugins
        steps = tuple(
            (each.name, getattr(each, method), figures.of(each.name, operation, _ACCEPTED, kind))
            for each in self._plugins
            if _overrides(each, method) and each.interest.covers(attributes)
        )
        return Pass(kind, steps, self.figures.steps.of(operation, _ACCEPTED, kind))


def _overrides(plugin: Plugin, method: str) -> bool:
    return getattr(type(plugin), method) is not getattr(Plugin, method)


def _key(attributes: Attributes) -> _Key:
    resource = attributes.resource
    return attributes.operation, resource.group, resource.name, attributes.subresource
