"""The API server put together: what exists, in order, and its life from first object to last watch.

bootstrap objects --> listening (on_listening set) --> cancelled: watches end, answers end, sockets close
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping

from podkeeper.api.resources import RESOURCES
from podkeeper.apiserver import storage_metrics, version
from podkeeper.apiserver.admission.chain import AdmissionChain
from podkeeper.apiserver.admission.connecting import judged
from podkeeper.apiserver.admission.policies.statuses import PolicyStatuses
from podkeeper.apiserver.aggregation.front_proxy import FrontProxy
from podkeeper.apiserver.aggregation.keeper import AggregationKeeper
from podkeeper.apiserver.aggregation.layer import AggregationLayer
from podkeeper.apiserver.audit.auditor import auditor_of
from podkeeper.apiserver.authentication.assembly import Authentication
from podkeeper.apiserver.authentication.service_accounts import TokenIssuer, TokenReader
from podkeeper.apiserver.authorization.aggregation import RoleAggregator
from podkeeper.apiserver.authorization.assembly import Authorization
from podkeeper.apiserver.authorization.node import NodeAuthorizer
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.bootstrap import ensure, policy
from podkeeper.apiserver.call import Handle
from podkeeper.apiserver.chain import Chain, Gates
from podkeeper.apiserver.config import ApiServerConfig
from podkeeper.apiserver.customresources.keeper import DefinitionKeeper
from podkeeper.apiserver.deadlines import Deadlines
from podkeeper.apiserver.fairness import dumps, figures
from podkeeper.apiserver.fairness.admission import FairAdmission
from podkeeper.apiserver.fairness.keeper import FairnessKeeper
from podkeeper.apiserver.handlers import paths
from podkeeper.apiserver.handlers.bindings import PodWrites
from podkeeper.apiserver.handlers.componentstatuses import PROCESSES, ComponentStatuses
from podkeeper.apiserver.handlers.discovery import DiscoveryHandlers
from podkeeper.apiserver.handlers.dispatch import Dispatcher, SpecialKey
from podkeeper.apiserver.handlers.openapi import OpenApiHandlers
from podkeeper.apiserver.handlers.rendering import Renderer
from podkeeper.apiserver.handlers.resources import ResourceHandlers
from podkeeper.apiserver.handlers.reviews import Reviews
from podkeeper.apiserver.handlers.tokens import TokenRequests
from podkeeper.apiserver.health import Health
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.metrics import RequestMetrics
from podkeeper.apiserver.quota.keeper import QuotaKeeper
from podkeeper.apiserver.service_addresses import ServiceAddresses
from podkeeper.apiserver.streaming.kubelets import Kubelets
from podkeeper.apiserver.streaming.pods import PodStreams
from podkeeper.apiserver.streaming.proxies import Proxies
from podkeeper.apiserver.streaming.service_endpoints import EndpointResolver
from podkeeper.apiserver.tables.table import TableMaker
from podkeeper.apiserver.watching import WatchStreams
from podkeeper.foundation import process_metrics
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.foundation.exposition import render
from podkeeper.foundation.http import HttpServer
from podkeeper.foundation.signing_keys import SigningKey, key_id, public_keys
from podkeeper.foundation.tls import server_tls
from podkeeper.registry.storage_versions import is_stored
from podkeeper.registry.verbs import Registry, RequestContext

log = logging.getLogger(__name__)

#: Seconds that running answers get to end when the server stops.
GRACE = 5.0


class ApiServer:
    """Serves a registry over HTTPS. ``admission`` is the chain that the registry was opened with."""

    def __init__(
        self, config: ApiServerConfig, registry: Registry, admission: AdmissionChain, clock: Clock | None = None
    ) -> None:
        self._config, self._registry, self._admission = config, registry, admission
        self._clock = clock or SystemClock()
        self._live = LiveObjects(registry)
        self.on_listening = asyncio.Event()
        told = config.authentication.accounts
        own = SigningKey.load(config.service_account_key)
        key = SigningKey.load(told.signing_key) if told.signing_key is not None else own
        others = [public for path in told.keys for public in public_keys(path)]
        self._public_keys = tuple({key_id(each): each for each in (key.public, own.public, *others)}.values())
        self._tokens = TokenIssuer(config.issuers[0], key, told.longest)
        self.rbac = RbacIndex()
        self._aggregator = RoleAggregator(self._live, RequestContext(ensure.SELF))
        self._services = EndpointResolver(self._live)
        front, context = FrontProxy(config.key.parent), RequestContext(ensure.SELF)
        self._aggregation = AggregationKeeper(self._live, self._services, front, self._clock, context)
        self._addresses = ServiceAddresses(self._live, RequestContext(ensure.SELF))
        self._definitions = DefinitionKeeper(self._live, self._clock, RequestContext(ensure.SELF))
        self._quotas = QuotaKeeper(self._live, self._clock, RequestContext(ensure.SELF))
        self._policy_statuses = PolicyStatuses(self._live, RequestContext(ensure.SELF))
        reader = TokenReader(config.issuers, self._public_keys)
        self._authentication = Authentication(config, reader, self._live, self._clock)
        self._authenticator = self._authentication.authenticator
        node = NodeAuthorizer(self._live, policy.cluster_role("system:node"))
        self._authorization = Authorization(
            self.rbac, node, config.authorization, self._clock, config.advertise_address
        )
        self._authorizer = self._authorization.authorizer
        admission.connect(registry, self._authorizer, self._clock)
        limits = config.limits
        count = storage_metrics.counter(registry)
        self._deadlines = Deadlines(limits.request_timeout)
        self._fairness = FairAdmission(limits.seats, limits.request_timeout / 4, count, self._clock)
        self._fairness_keeper = FairnessKeeper(self._live, self._fairness, self._clock, RequestContext(ensure.SELF))
        self._audit = auditor_of(config.audit, self._clock)
        self._metrics = RequestMetrics(registry.resources)
        self._metrics.add(process_metrics.families(version.info()))
        self._metrics.add(registry.families())
        self._metrics.add(self._authentication.families())
        self._metrics.add(self._authorization.families())
        self._metrics.add(self._aggregation.families())
        self._metrics.add(admission.figures.families())
        self._metrics.add(figures.families(self._fairness))
        self._metrics.add(self._audit.families() if self._audit else ())
        self._renderer = Renderer(TableMaker(self._clock))
        self._watches = WatchStreams(self._renderer)
        self._resources = ResourceHandlers(self._renderer, self._watches)
        self._port = 0
        self._stopping = False

    @property
    def port(self) -> int:
        """The port that clients reach, known once it listens."""
        return self._port

    async def serve(self, listener: socket.socket) -> None:
        """Serves until cancelled whoever connects to ``listener``, and closes it."""
        self._port = listener.getsockname()[1]
        try:
            await self._prepare()
            await self._listen(listener)
        finally:
            listener.close()

    async def _prepare(self) -> None:
        await ensure.ensure_all(self._registry, self._config, self._port, self._clock)
        await self._aggregation.publish()
        await self._aggregator.follow()
        await self._aggregator.settle()
        await self.rbac.follow(self._live)
        await self._authenticator.follow(self._live)
        await self._fairness_keeper.follow()

    async def _listen(self, listener: socket.socket) -> None:
        config = self._config
        gates = Gates(self._deadlines, self._authenticator, self._audit, self._fairness, self._authorizer)
        chain = Chain(gates, AggregationLayer(self._aggregation, self._dispatcher(), self._clock), self._metrics)
        http = HttpServer(chain)
        self._metrics.gauge("apiserver_connections", "Open connections.", lambda: float(http.connections))
        self._metrics.add(storage_metrics.families(self._registry, self._watches.sent))
        tls = server_tls(str(config.certificate), str(config.key), str(config.client_ca))
        if config.authentication.request_headers is not None:
            tls.load_verify_locations(str(config.authentication.request_headers.client_ca))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(http.serve(listener, tls, self.on_listening))
            keepers = (
                self._aggregator,
                self._quotas,
                self._policy_statuses,
                self._addresses,
                self._definitions,
                self._fairness_keeper,
                self._authentication,
                self._authorization,
                self._aggregation,
            )
            keeping = [tasks.create_task(each.run()) for each in keepers]
            keeping += [tasks.create_task(self._audit.run())] if self._audit is not None else []
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._stopping = True
                await self._clock.sleep(config.limits.shutdown_delay)
                chain.stopping = True
                self._watches.end_all()
                await http.stop(GRACE)
                self._admission.close()
                serving.cancel()
                if self._audit is not None:
                    await self._audit.close()
                for task in keeping:
                    task.cancel()
                self._deadlines.close()

    def _dispatcher(self) -> Dispatcher:
        specials = self._specials()
        return Dispatcher(self._registry, self._resources, specials, _UNSTORED, self._plain_paths())

    def _specials(self) -> Mapping[SpecialKey, Handle]:
        kubelets = Kubelets(self._live, self._config)
        reviews = Reviews(self._authenticator, self._authorizer)
        tokens = TokenRequests(self._tokens, self._config.audiences, self._live, self._clock, self._admission)
        return {
            **reviews.handlers(),
            **PodWrites(self._registry).handlers(),
            **ComponentStatuses({**PROCESSES, "etcd-0": self._registry.check_store}, self._renderer).handlers(),
            **judged(PodStreams(kubelets, self._live, self._authorizer).handlers(), self._admission, self._registry),
            **judged(Proxies(kubelets, self._live).handlers(), self._admission, self._registry),
            ("", "serviceaccounts", "token"): tokens.handle,
        }

    async def _check_shutdown(self) -> str:
        return "the server is stopping" if self._stopping else ""

    def _address(self) -> str:
        return f"{self._config.advertise_address}:{self._port}"

    def _plain_paths(self) -> Mapping[str, Handle]:
        config = self._config
        health = Health(self._registry.check_store, self._registry.check_caches, self._check_shutdown)
        told = config.authentication.accounts
        jwks = f"https://{config.advertise_address}:{self._port}/openid/v1/jwks"
        found: dict[str, Handle] = {
            "/version": paths.show_version,
            "/metrics": paths.metrics(self._metrics.text),
            "/metrics/slis": paths.metrics(lambda: render(health.figures.families())),
            "/livez": health.handle,
            "/readyz": health.handle,
            "/healthz": health.handle,
            **dumps.handlers(self._fairness),
            **paths.issuer_documents(config.issuers[0], told.jwks_uri or jwks, self._public_keys),
            **DiscoveryHandlers(self._registry, _UNSTORED, self._address, self._aggregation).handlers(),
            **OpenApiHandlers(self._registry, _UNSTORED).handlers(),
        }
        found["/"] = paths.index(sorted(found))
        return found


_UNSTORED = {(row.group, row.version, row.name): row for row in RESOURCES if row.enabled and not is_stored(row)}
