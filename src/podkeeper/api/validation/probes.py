"""Probes and lifecycle hooks: exactly one handler each, and sensible thresholds.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import port, port_number

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_SCHEMES = ("HTTP", "HTTPS")


def probe(found: Found, at: str, value: v1.Probe) -> None:
    """What holds for every probe."""
    _handler(found, at, value)
    found.not_negative(f"{at}.initialDelaySeconds", value.initial_delay_seconds)
    found.not_negative(f"{at}.timeoutSeconds", value.timeout_seconds)
    found.not_negative(f"{at}.periodSeconds", value.period_seconds)
    found.not_negative(f"{at}.successThreshold", value.success_threshold)
    found.not_negative(f"{at}.failureThreshold", value.failure_threshold)
    found.positive(f"{at}.terminationGracePeriodSeconds", value.termination_grace_period_seconds)


def probes(found: Found, at: str, container: v1.Container) -> None:
    """A container's three probes; of two of them the first success counts."""
    for name, value in (("livenessProbe", container.liveness_probe), ("startupProbe", container.startup_probe)):
        if value is not None:
            probe(found, f"{at}.{name}", value)
            if value.success_threshold != 1:
                found.invalid(f"{at}.{name}.successThreshold", value.success_threshold or 0, "must be 1")
    readiness = container.readiness_probe
    if readiness is not None:
        probe(found, f"{at}.readinessProbe", readiness)
        grace = readiness.termination_grace_period_seconds
        if grace is not None:
            path = f"{at}.readinessProbe.terminationGracePeriodSeconds"
            found.invalid(path, grace, "must not be set for readinessProbes")


def lifecycle(found: Found, at: str, value: v1.Lifecycle, grace: int) -> None:
    """Hooks after the start and before the end; ``grace`` is the pod's grace period in seconds."""
    for name, hook in (("postStart", value.post_start), ("preStop", value.pre_stop)):
        if hook is None:
            continue
        _handler(found, f"{at}.{name}", hook)
        if hook.sleep is not None and not 0 <= hook.sleep.seconds <= grace:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            found.invalid(f"{at}.{name}.sleep", hook.sleep.seconds, why)


def _handler(found: Found, at: str, value: v1.Probe | v1.LifecycleHandler) -> None:
    given = ["exec"] if value.exec is not None else []
    if value.exec is not None and not value.exec.command:
        found.required(f"{at}.exec.command")
    if value.http_get is not None:
        given.append("httpGet")
        _http(found, f"{at}.httpGet", value.http_get)
    if value.tcp_socket is not None:
        given.append("tcpSocket")
        port(found, f"{at}.tcpSocket.port", value.tcp_socket.port)
    grpc = getattr(value, "grpc", None)
    if grpc is not None:
        given.append("grpc")
        port_number(found, f"{at}.grpc.port", grpc.port)
    if getattr(value, "sleep", None) is not None:
        given.append("sleep")
    if not given:
        found.required(at, "must specify a handler type")
    for extra in given[1:]:
        found.forbidden(f"{at}.{extra}", "may not specify more than 1 handler type")


def _http(found: Found, at: str, action: v1.HTTPGetAction) -> None:
    if not action.path:
        found.required(f"{at}.path")
    port(found, f"{at}.port", action.port)
    if action.scheme not in _SCHEMES:
        found.unsupported(f"{at}.scheme", action.scheme, _SCHEMES)
    for _, header in indexed("", action.http_headers):
        found.check(f"{at}.httpHeaders", header.name, names.http_header)
