"""The node's HTTPS server: who may come in, and which path leads where."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiohttp import web

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.client.delegation import DelegatedAccess
from podkeeper.foundation.exposition import CONTENT_TYPE, Family, render
from podkeeper.foundation.late_verification import LateVerification
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_worker import PodWorker
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.server.access import NodeAccess, Refusal
from podkeeper.kubelet.server.container_metrics import container_families
from podkeeper.kubelet.server.log_handler import LogHandler
from podkeeper.kubelet.server.metrics import kubelet_families, resource_families
from podkeeper.kubelet.server.settings import settings
from podkeeper.kubelet.server.stats import stats_summary
from podkeeper.kubelet.server.stream_handlers import StreamHandlers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NodeServer:
    """Serves one kubelet. ``tls`` None is for tests alone: then everybody may do everything."""

    def __init__(self, parts: KubeletParts, workers: PodWorkers, tls: ssl.SSLContext | None) -> None:
        self._parts, self._workers, self._tls = parts, workers, tls
        self._runner: web.AppRunner | None = None
        self._access = NodeAccess(parts.config, DelegatedAccess(parts.api, parts.clock))
        self._verification = LateVerification.of(tls) if tls is not None else None

    def application(self) -> web.Application:
        """The routes."""
        logs, streams = LogHandler(self._workers), StreamHandlers(self._workers, self._parts.runtime)

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            await self._check_client(request)
            return await handler(request)

        app = web.Application(middlewares=[guard])
        pod = "{namespace}/{pod}"
        app.router.add_get(f"/containerLogs/{pod}/{{container}}", logs.handle)
        for method in ("GET", "POST"):
            for path in (f"{pod}/{{container}}", f"{pod}/{{uid}}/{{container}}"):
                app.router.add_route(method, f"/exec/{path}", streams.exec)
                app.router.add_route(method, f"/attach/{path}", streams.attach)
            app.router.add_route(method, f"/portForward/{pod}", streams.port_forward)
            app.router.add_route(method, f"/portForward/{pod}/{{uid}}", streams.port_forward)
        for path in ("", "/ping", "/log", "/syncloop"):
            app.router.add_get(f"/healthz{path}", self._healthz)
        app.router.add_get("/configz", self._configz)
        app.router.add_get("/pods", self._pods)
        app.router.add_get("/runningpods/", self._running_pods)
        app.router.add_get("/stats/summary", self._stats)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/metrics/cadvisor", self._containers)
        app.router.add_get("/metrics/probes", self._probes)
        app.router.add_get("/metrics/resource", self._resource)
        return app

    async def serve(self, listener: socket.socket) -> None:
        """Answers on ``listener`` until cancelled; open streams end with it."""
        runner = web.AppRunner(self.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listener, ssl_context=self._tls).start()
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    async def _check_client(self, request: web.Request) -> None:
        if self._tls is None:
            return
        certificate, verification = request.get_extra_info("peercert"), self._verification
        if certificate and verification is not None and not verification.trusts(request.get_extra_info("ssl_object")):
            certificate = None
        header = request.headers.get("Authorization", "")
        try:
            await self._access.check(certificate, header, request.method, request.path)
        except Refusal as refusal:
            raise _ANSWERS[refusal.code](text=refusal.text) from None

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _configz(self, request: web.Request) -> web.Response:
        return web.json_response(settings(self._parts.config))

    async def _running_pods(self, request: web.Request) -> web.Response:
        return _listed(worker for worker in self._workers if worker.runtime.ready_sandbox is not None)

    async def _pods(self, request: web.Request) -> web.Response:
        return _listed(self._workers)

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(await stats_summary(self._parts, self._workers))

    async def _metrics(self, request: web.Request) -> web.Response:
        return _figures(kubelet_families(self._parts, self._workers))

    async def _containers(self, request: web.Request) -> web.Response:
        return _figures(await container_families(self._parts, self._workers))

    async def _probes(self, request: web.Request) -> web.Response:
        return _figures(self._parts.probes.families())

    async def _resource(self, request: web.Request) -> web.Response:
        return _figures(await resource_families(self._parts, self._workers))


_ANSWERS = {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 500: web.HTTPInternalServerError}


def _listed(workers: Iterable[PodWorker]) -> web.Response:
    pods = v1.PodList(items=tuple(worker.current() for worker in workers))
    return web.Response(body=codec.encode(pods), content_type="application/json")


def _figures(families: Sequence[Family]) -> web.Response:
    return web.Response(body=render(families).encode(), headers={"Content-Type": CONTENT_TYPE})
