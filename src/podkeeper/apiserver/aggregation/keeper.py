"""Follows APIServices: asks the servers behind them whether they answer, and what they serve.

seen --> checked --ok--> again in half a minute, or when the object, its Service or its endpoints change
            \\--not--> again after 1, 2, 4, ... 30 s, or then
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError
from podkeeper.api.user import AUTHENTICATED_GROUP, MASTERS_GROUP, UserInfo
from podkeeper.apiserver.aggregation import discovery
from podkeeper.apiserver.aggregation.discovery import Said
from podkeeper.apiserver.aggregation.front_proxy import FrontProxy, user_headers
from podkeeper.apiserver.aggregation.remotes import (
    GROUP,
    PASSED,
    RESOURCE,
    Finding,
    Remote,
    fault,
    is_available,
    remote_of,
    with_finding,
)
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.streaming.kubelets import Location
from podkeeper.apiserver.streaming.service_endpoints import ServiceResolver
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Counters, Family, Sample
from podkeeper.foundation.http.client import Exchange, ExchangeFailed, request_message
from podkeeper.registry.verbs import ListOptions, PatchType, RequestContext, WatchEvent

log = logging.getLogger(__name__)

CHECKED_EVERY, ANSWER_WITHIN, ATTEMPTS = 30.0, 5.0, 5
CONFIG_MAP = "extension-apiserver-authentication"
#: What a document that makes no sense does to those who read it.
_SENSELESS = (AttributeError, KeyError, TypeError, ValueError)
_LONGEST = 64 << 20
_SELF = UserInfo("system:kube-aggregator", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))


class AggregationKeeper:
    """Knows the remote groups while ``run`` runs. ``revision`` counts what discovery shows of them."""

    def __init__(
        self,
        live: LiveObjects,
        services: ServiceResolver,
        front: FrontProxy,
        clock: Clock,
        context: RequestContext,
    ) -> None:
        self._live, self._services, self.front = live, services, front
        self._clock, self._context = clock, context
        self.revision = 0
        self._trees: dict[str, Mapping[str, Any]] = {}
        self._remotes: dict[str, Remote] = {}
        self._said: dict[str, Said] = {}
        self.openapi: dict[str, str] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._minding: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._lost = Counters(
            "aggregator_unavailable_apiservice_total", "How often servers became unavailable.", "name", "reason"
        )

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the servers behind this one."""

        def read() -> Iterator[Sample]:
            for name, remote in sorted(self._remotes.items()):
                yield {"name": name}, int(not self.is_available(remote))

        unavailable = Family("aggregator_unavailable_apiservice", "gauge", "1 where a server is unavailable.", read)
        return (unavailable, self._lost.family())

    # what others ask

    def serving(self, group: str, version: str) -> Remote | None:
        """The remote that answers a version, available or not."""
        return self._remotes.get(f"{version}.{group}")

    def is_available(self, remote: Remote) -> bool:
        """Whether requests may be passed on to it."""
        return is_available(self._trees.get(remote.name, {}))

    async def locate(self, remote: Remote) -> Location:
        """One of its addresses. Raises ApiError, and ssl.SSLError for a caBundle that is none."""
        host, port = await self._services.resolve(remote.namespace, remote.service, str(remote.port))
        return Location(host, port, self.front.tls(remote), remote.server_name)

    def priorities(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What their APIServices say."""
        return {
            (each.group, each.version): (each.group_priority, each.version_priority) for each in self._remotes.values()
        }

    def groups(self) -> list[dict[str, Any]]:
        """APIGroups of the remotes."""
        return discovery.groups(self._remotes.values())

    def aggregated(self) -> list[dict[str, Any]]:
        """Items of an APIGroupDiscoveryList."""
        return discovery.aggregated(self._remotes.values(), self._said)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._remotes)

    @property
    def remotes(self) -> Sequence[Remote]:
        """All of them."""
        return list(self._remotes.values())

    # its life

    async def run(self) -> None:
        """Until cancelled; at once over where what it needs is not served."""
        needed = ((GROUP, RESOURCE), ("discovery.k8s.io", "endpointslices"))
        if any(self._live.registry.verbs(group, "v1", resource) is None for group, resource in needed):
            return
        async with asyncio.TaskGroup() as self._tasks:
            await self._live.follow(GROUP, RESOURCE, self._take_objects)
            await self._live.follow("", "services", self._take_services)
            await self._live.follow("discovery.k8s.io", "endpointslices", self._take_slices)
            await asyncio.get_running_loop().create_future()

    async def publish(self) -> None:
        """Tells extension servers whom to believe; before the server listens."""
        present = await self._live.get("", "configmaps", "kube-system", CONFIG_MAP)
        data = self.front.published((present or {}).get("data") or {})
        if present is not None and data:
            verbs = self._live.verbs("", "configmaps")
            await verbs.patch(self._context, "kube-system", CONFIG_MAP, {"data": data}, PatchType.MERGE)

    def _take_objects(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is None:
                continue
            tree = event.item.tree()
            name, remote = event.item.name, None if event.type == "DELETED" else remote_of(tree)
            if remote is None:
                self._drop(name)
                continue
            self._trees[name] = tree
            if self._remotes.get(name) != remote:
                self._remotes[name] = remote
                self.revision += 1
                self._check_soon(name)

    def _take_services(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is not None:
                self._service_changed(event.item.namespace, event.item.name)

    def _take_slices(self, events: Sequence[WatchEvent]) -> None:
        if not self._remotes:
            return
        for event in events:
            if event.item is not None:
                labels = event.item.tree()["metadata"].get("labels") or {}
                self._service_changed(event.item.namespace, labels.get("kubernetes.io/service-name", ""))

    def _service_changed(self, namespace: str, name: str) -> None:
        for remote in self._remotes.values():
            if (remote.namespace, remote.service) == (namespace, name):
                self._check_soon(remote.name)

    def _check_soon(self, name: str) -> None:
        self._wake.setdefault(name, asyncio.Event()).set()
        if name not in self._minding and self._tasks is not None:
            self._minding[name] = self._tasks.create_task(self._mind(name), name=f"aggregation of {name}")

    def _drop(self, name: str) -> None:
        if self._remotes.pop(name, None) is None:
            return
        self.revision += 1
        for kept in (self._trees, self._said, self.openapi, self._wake):
            kept.pop(name, None)
        task = self._minding.pop(name, None)
        if task is not None:
            task.cancel()

    async def _mind(self, name: str) -> None:
        failures = 0
        while (remote := self._remotes.get(name)) is not None:
            wake = self._wake[name]
            wake.clear()
            finding = await self._check(remote)
            failures = 0 if finding is PASSED else failures + 1
            await self._report(name, finding)
            try:
                async with asyncio.timeout(min(CHECKED_EVERY, 2.0 ** (failures - 1)) if failures else CHECKED_EVERY):
                    await wake.wait()
            except TimeoutError:
                continue

    async def _check(self, remote: Remote) -> Finding:
        found = await self._fault(remote)
        if found is not None:
            self._note(remote, None)
            return found
        why = ""
        for _ in range(ATTEMPTS):
            try:
                listed = await self.get(remote, remote.path)
                await self._learn(remote, listed)
            except NoAnswer as error:
                why = str(error)
            else:
                return PASSED
        self._note(remote, None)
        return Finding("False", "FailedDiscoveryCheck", why)

    async def _fault(self, remote: Remote) -> Finding | None:
        selection = ListOptions(label_selector=f"kubernetes.io/service-name={remote.service}")
        verbs = self._live.verbs("discovery.k8s.io", "endpointslices")
        try:
            service = await self._live.get("", "services", remote.namespace, remote.service)
            slices = [each.tree() for each in (await verbs.list(remote.namespace, selection)).items] if service else []
        except ApiError as error:
            place = f'service/{remote.service} in "{remote.namespace}"'
            return Finding("False", "ServiceAccessError", f"{place} cannot be checked due to: {error}")
        return fault(remote, service, slices)

    async def _learn(self, remote: Remote, listed: Any) -> None:
        """Remembers what the server serves. Only its plain list must be there."""
        resources = None
        try:
            resources = discovery.resources_of(await self.get(remote, "/apis", discovery.ACCEPT), remote)
        except (NoAnswer, *_SENSELESS) as error:
            log.debug("%s has no aggregated discovery: %s", remote.name, error)
        try:
            self._note(remote, discovery.converted(listed, remote) if resources is None else resources)
        except _SENSELESS as error:
            url = f"https://{remote.server_name}:{remote.port}{remote.path}"
            raise NoAnswer(f"failing or missing response from {url}: {error!r}") from error
        try:
            index = await self.get(remote, "/openapi/v3")
            found = (index.get("paths") or {}).get(remote.path.lstrip("/")) or {}
            self.openapi[remote.name] = str(found.get("serverRelativeURL") or "")
        except (NoAnswer, *_SENSELESS) as error:
            log.debug("%s publishes no OpenAPI v3: %s", remote.name, error)

    def _note(self, remote: Remote, resources: Sequence[dict[str, Any]] | None) -> None:
        """New resources, or None when the server does not answer: what it said last is old then."""
        before = self._said.get(remote.name)
        if resources is None:
            now = Said(before.resources if before else (), fresh=False)
        else:
            now = Said(resources, fresh=True)
        if now != before:
            self._said[remote.name] = now
            self.revision += 1

    async def get(self, remote: Remote, path: str, accept: str = "application/json") -> Any:
        """A JSON document of the server. Raises NoAnswer, with upstream's words."""
        url = path
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                where = await self.locate(remote)
                url = f"https://{where.authority}{path}"
                headers = [(b"Host", where.authority.encode()), (b"Accept", accept.encode())]
                message = request_message("GET", path, [*headers, *user_headers(_SELF), (b"Connection", b"close")])
                address = (where.host, where.port)
                exchange = await Exchange.send(address, where.tls, message, server_name=where.server_name)
                body = await _whole(exchange)
        except TimeoutError:
            raise NoAnswer(f"timed out waiting for {url}") from None
        except (ExchangeFailed, ApiError, ssl.SSLError) as error:
            why = f'failing or missing response from {url}: Get "{url}": {error}'
            raise NoAnswer(why) from error
        if not 200 <= exchange.status < 300:
            raise NoAnswer(f"failing or missing response from {url}: bad status from {url}: {exchange.status}")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise NoAnswer(f"failing or missing response from {url}: {error}") from error

    async def _report(self, name: str, finding: Finding) -> None:
        tree = self._trees.get(name)
        if tree is None:
            return
        status = with_finding(tree, finding, timestamps.format_time(self._clock.time()))
        if status is None:
            return
        if is_available(tree) and finding is not PASSED:
            self._lost[name, finding.reason] += 1
        try:
            verbs = self._live.verbs(GROUP, RESOURCE)
            await verbs.patch(self._context, "", name, {"status": status}, PatchType.MERGE, "status")
        except ApiError as error:
            if error.code not in (404, 409):
                log.warning("cannot write whether %s is available: %s", name, error)


async def _whole(exchange: Exchange) -> bytes:
    """The body. Raises ExchangeFailed for one that never ends."""
    body = bytearray()
    try:
        async for piece in exchange.pieces():
            body += piece
            if len(body) > _LONGEST:
                raise ExchangeFailed("the answer is too long")
    finally:
        exchange.close()
    return bytes(body)


class NoAnswer(Exception):
    """A server did not answer as it should."""
