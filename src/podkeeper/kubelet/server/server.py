"""The node's HTTPS server: who may come in, and which path leads where."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.server.access import client_of, may
from podkeeper.kubelet.server.log_handler import LogHandler
from podkeeper.kubelet.server.metrics import metrics_text
from podkeeper.kubelet.server.stats import stats_summary
from podkeeper.kubelet.server.stream_handlers import StreamHandlers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NodeServer:
    """Serves one kubelet. ``tls`` None is for tests alone: then everybody may do everything."""

    def __init__(self, parts: KubeletParts, workers: PodWorkers, tls: ssl.SSLContext | None) -> None:
        self._parts, self._workers, self._tls = parts, workers, tls
        self._runner: web.AppRunner | None = None

    def application(self) -> web.Application:
        """The routes."""
        logs, streams = LogHandler(self._workers), StreamHandlers(self._workers, self._parts.runtime)

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._check_client(request)
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
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/pods", self._pods)
        app.router.add_get("/stats/summary", self._stats)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def serve(self, stopped: Awaitable[object]) -> None:
        """Listens until ``stopped`` is done; open streams end with it."""
        runner = web.AppRunner(self.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        try:
            config = self._parts.config
            await web.TCPSite(runner, config.address, config.port, ssl_context=self._tls).start()
            await stopped
        finally:
            await runner.cleanup()

    def _check_client(self, request: web.Request) -> None:
        if self._tls is None:
            return
        transport = request.transport
        client = client_of(transport.get_extra_info("peercert") if transport else None)
        if client is None:
            raise web.HTTPUnauthorized(text="Unauthorized")
        if not may(self._parts.config, client):
            verb = "get" if request.method == "GET" else "create"
            raise web.HTTPForbidden(text=f"Forbidden (user={client.name}, verb={verb}, resource=nodes)")

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _pods(self, request: web.Request) -> web.Response:
        pods = v1.PodList(items=tuple(worker.current() for worker in self._workers))
        return web.Response(body=codec.encode(pods), content_type="application/json")

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(await stats_summary(self._parts, self._workers))

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=metrics_text(self._workers), content_type="text/plain")
