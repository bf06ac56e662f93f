"""Lifecycle hooks: postStart and preStop as exec, httpGet or sleep.

https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""

from __future__ import annotations

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.probes.http import HTTPFailure, http_get, http_target
from podkeeper.runtime.cri import RuntimeService
from podkeeper.runtime.failures import RuntimeFailure

HTTP_TIMEOUT = 30.0
AGENT = "kube-lifecycle/1.36"


class HookFailure(Exception):
    """A hook could not run or said no."""


class HookTarget(Struct, frozen=True):
    """The container that a hook is for."""

    container: v1.Container
    container_id: str
    pod_ip: str


async def run_hook(handler: v1.LifecycleHandler, target: HookTarget, runtime: RuntimeService, clock: Clock) -> None:
    """Runs a hook to its end. Raises HookFailure."""
    if handler.exec is not None:
        await _exec(handler.exec, target, runtime)
    elif handler.http_get is not None:
        await _http(handler.http_get, target)
    elif handler.sleep is not None:
        await clock.sleep(handler.sleep.seconds)
    else:
        raise HookFailure("invalid handler: neither exec, httpGet nor sleep")


async def _exec(action: v1.ExecAction, target: HookTarget, runtime: RuntimeService) -> None:
    try:
        result = await runtime.exec_sync(target.container_id, action.command)
    except RuntimeFailure as error:
        raise HookFailure(str(error)) from error
    if result.exit_code != 0:
        output = (result.stdout + result.stderr)[:1024].decode("utf-8", "replace")
        raise HookFailure(f"command '{' '.join(action.command)}' exited with {result.exit_code}: {output}")


async def _http(action: v1.HTTPGetAction, target: HookTarget) -> None:
    try:
        status, _ = await http_get(http_target(action, target.container, target.pod_ip, AGENT), HTTP_TIMEOUT)
    except HTTPFailure as error:
        raise HookFailure(str(error)) from error
    if status >= 400:
        raise HookFailure(f"HTTP status {status}")
