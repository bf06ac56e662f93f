"""exec, attach and portForward: checks, then a WebSocket or SPDY and the relay of ``streams``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.server import channels, upgraded
from podkeeper.kubelet.server.log_handler import is_true
from podkeeper.kubelet.server.lookup import find_pod, running_container
from podkeeper.kubelet.server.streams import ChannelSocket, PortForward, ProcessStreams, StreamOptions
from podkeeper.kubelet.server.tunnel import PROTOCOL, Tunnel
from podkeeper.runtime.cri import Process, RuntimeService, SandboxStatus
from podkeeper.runtime.failures import RuntimeFailure

HEARTBEAT_SECONDS = 30.0
#: What port-forward is called where SPDY's own connection carries it.
FORWARDING = "portforward.k8s.io"


def wants_spdy(request: web.Request) -> bool:
    """Whether the client is one of the older ones, which speak SPDY/3.1. 400 for a plain request."""
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade not in ("websocket", upgraded.PROTOCOL.lower()):
        raise web.HTTPBadRequest(text="Upgrade request required")
    return upgrade != "websocket"


def offered_protocols(request: web.Request) -> list[str]:
    """The WebSocket subprotocols that the client can speak."""
    return [each.strip() for line in request.headers.getall("Sec-WebSocket-Protocol", []) for each in line.split(",")]


def stream_options(request: web.Request) -> StreamOptions:
    """``stdin`` or ``input`` and so on; 400 when no stream is wanted."""
    query = request.query
    options = StreamOptions(
        stdin=is_true(query, "stdin", "input"),
        stdout=is_true(query, "stdout", "output"),
        stderr=is_true(query, "stderr", "error"),
        tty=is_true(query, "tty"),
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr")
    return options


class StreamHandlers:
    """The streaming requests about the pods of ``workers``."""

    def __init__(self, workers: PodWorkers, runtime: RuntimeService) -> None:
        self._workers, self._runtime = workers, runtime

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """``/exec/NAMESPACE/POD/CONTAINER?command=...``."""
        container = running_container(find_pod(self._workers, request), request.match_info["container"])
        options, command = stream_options(request), request.query.getall("command", [])
        if not command:
            raise web.HTTPBadRequest(text="you must specify a command")
        return await self._stream(
            request,
            options,
            lambda: self._runtime.exec(container.id, command, tty=options.tty, stdin=options.stdin),
        )

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """``/attach/NAMESPACE/POD/CONTAINER``."""
        container = running_container(find_pod(self._workers, request), request.match_info["container"])
        return await self._stream(request, stream_options(request), lambda: self._runtime.attach(container.id))

    async def _stream(
        self, request: web.Request, options: StreamOptions, start: Callable[[], Awaitable[Process]]
    ) -> web.StreamResponse:
        if wants_spdy(request):
            return await self._stream_over_spdy(request, options, start)
        socket = web.WebSocketResponse(protocols=channels.PROTOCOLS, heartbeat=HEARTBEAT_SECONDS, max_msg_size=0)
        await socket.prepare(request)
        await _run(socket, options, start)
        return socket

    async def _stream_over_spdy(
        self, request: web.Request, options: StreamOptions, start: Callable[[], Awaitable[Process]]
    ) -> web.StreamResponse:
        version = upgraded.chosen_version(request, (channels.V4,))
        raw = upgraded.RawConnection(request, version)
        try:
            connection = upgraded.ChannelConnection(raw, options.streams)
            if await connection.opened():
                await _run(connection, options, start)
        finally:
            await raw.close()
        return upgraded.Upgraded()

    async def port_forward(self, request: web.Request) -> web.StreamResponse:
        """``/portForward/NAMESPACE/POD``: tunnelled SPDY as kubectl asks for, else channels for ``?port=...``."""
        worker = find_pod(self._workers, request)
        if wants_spdy(request):
            return await self._tunnel_over_spdy(request, worker.runtime.ready_sandbox)
        if PROTOCOL in offered_protocols(request):
            return await self._tunnel(request, worker.runtime.ready_sandbox)
        try:
            ports = [int(text) for each in request.query.getall("port", []) for text in each.split(",")]
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"unable to parse port: {error}") from error
        sandbox = worker.runtime.ready_sandbox
        if not ports or sandbox is None:
            raise web.HTTPBadRequest(text='query parameter "port" is required' if sandbox else "pod is not running")
        try:
            connections = [(port, await self._runtime.port_forward(sandbox.id, port)) for port in ports]
        except RuntimeFailure as error:
            raise web.HTTPInternalServerError(text=f"error forwarding port: {error}") from error
        socket = web.WebSocketResponse(protocols=(channels.V4,), heartbeat=HEARTBEAT_SECONDS, max_msg_size=0)
        await socket.prepare(request)
        await PortForward(socket, connections).run()
        return socket

    async def _tunnel(self, request: web.Request, sandbox: SandboxStatus | None) -> web.StreamResponse:
        if sandbox is None:
            raise web.HTTPBadRequest(text="pod is not running")
        sandbox_id = sandbox.id
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), heartbeat=HEARTBEAT_SECONDS, max_msg_size=0)
        await socket.prepare(request)
        await Tunnel(socket, lambda port: self._runtime.port_forward(sandbox_id, port)).run()
        return socket

    async def _tunnel_over_spdy(self, request: web.Request, sandbox: SandboxStatus | None) -> web.StreamResponse:
        if sandbox is None:
            raise web.HTTPBadRequest(text="pod is not running")
        sandbox_id = sandbox.id
        raw = upgraded.RawConnection(request, upgraded.chosen_version(request, (FORWARDING,)))
        try:
            await Tunnel(raw, lambda port: self._runtime.port_forward(sandbox_id, port)).run()
        finally:
            await raw.close()
        return upgraded.Upgraded()


async def _run(socket: ChannelSocket, options: StreamOptions, start: Callable[[], Awaitable[Process]]) -> None:
    """Starts the process and relays; a client that does not get one is told why."""
    try:
        process = await start()
    except RuntimeFailure as error:
        await socket.send_bytes(channels.failure_status(str(error)))
        await socket.close()
        return
    await ProcessStreams(socket, process, options).run()
