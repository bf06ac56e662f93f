"""Asks one container once, the way its probe says: exec, httpGet, tcpSocket or grpc."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.kubelet.probes.grpc import GRPCFailure, check_health
from podkeeper.kubelet.probes.http import HTTPFailure, cause_of, http_get, http_target, resolve_port
from podkeeper.kubelet.probes.outcome import Outcome, Timing, Verdict
from podkeeper.runtime.cri import RuntimeService
from podkeeper.runtime.failures import RuntimeFailure

AGENT = "kube-probe/1.36"


class ProbeTarget(Struct, frozen=True):
    """The container that is asked."""

    container: v1.Container
    container_id: str
    pod_ip: str


async def ask(probe: v1.Probe, target: ProbeTarget, runtime: RuntimeService) -> Outcome:
    """One probe, within its timeout. Never raises for what the container does."""
    timeout = Timing.of(probe).timeout
    if probe.exec is not None:
        return await _exec(probe.exec, target, runtime, timeout)
    if probe.http_get is not None:
        return await _http(probe.http_get, target, timeout)
    if probe.tcp_socket is not None:
        return await _tcp(probe.tcp_socket, target, timeout)
    if probe.grpc is not None:
        return await _grpc(probe.grpc, target, timeout)
    return Outcome(Verdict.UNKNOWN, f"missing probe handler for {target.container.name}")


async def _exec(action: v1.ExecAction, target: ProbeTarget, runtime: RuntimeService, timeout: float) -> Outcome:
    try:
        result = await runtime.exec_sync(target.container_id, action.command, timeout)
    except TimeoutError:
        words = " ".join(action.command)
        return Outcome(Verdict.FAILURE, f'command timed out: "{words}" timed out after {timeout:g}s')
    except RuntimeFailure as error:
        return Outcome(Verdict.UNKNOWN, f"rpc error: {error}")
    output = (result.stdout + result.stderr)[:10240].decode("utf-8", "replace")
    return Outcome(Verdict.SUCCESS if result.exit_code == 0 else Verdict.FAILURE, output)


async def _http(action: v1.HTTPGetAction, target: ProbeTarget, timeout: float) -> Outcome:
    try:
        status, body = await http_get(http_target(action, target.container, target.pod_ip, AGENT), timeout)
    except HTTPFailure as error:
        return Outcome(Verdict.FAILURE, str(error))
    if 200 <= status < 400:
        return Outcome(Verdict.SUCCESS, body)
    return Outcome(Verdict.FAILURE, f"HTTP probe failed with statuscode: {status}")


async def _tcp(action: v1.TCPSocketAction, target: ProbeTarget, timeout: float) -> Outcome:
    host = action.host or target.pod_ip
    try:
        port = resolve_port(action.port, target.container)
    except HTTPFailure as error:
        return Outcome(Verdict.UNKNOWN, str(error))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"dial tcp {address}: i/o timeout")
    except OSError as error:
        return Outcome(Verdict.FAILURE, f"dial tcp {address}: connect: {cause_of(error)}")
    writer.close()
    return Outcome(Verdict.SUCCESS)


async def _grpc(action: v1.GRPCAction, target: ProbeTarget, timeout: float) -> Outcome:
    host = target.pod_ip
    address = f"[{host}]:{action.port}" if ":" in host else f"{host}:{action.port}"
    try:
        await asyncio.wait_for(check_health(host, action.port, action.service or ""), timeout)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"timeout: health rpc did not complete within {timeout:g}s")
    except GRPCFailure as error:
        return Outcome(Verdict.FAILURE, str(error))
    except OSError:  # upstream's client goes on trying until the time is over; the answer is the same
        text = f'timeout: failed to connect service "{address}" within {timeout:g}s: context deadline exceeded'
        return Outcome(Verdict.FAILURE, text)
    return Outcome(Verdict.SUCCESS, "service healthy")
