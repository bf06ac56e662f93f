"""Upstream's flags about how much at once, how long, and what is logged of it.

Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from podkeeper.apiserver.audit import policy
from podkeeper.apiserver.audit.options import AuditOptions, BatchOptions, LogOptions, OutletOptions, WebhookOptions
from podkeeper.apiserver.deadlines import parse_duration
from podkeeper.apiserver.limits import RequestLimits
from podkeeper.foundation.logs import FORMS

_POLICY, _PATH = "audit-policy-file", "audit-log-path"
_AGE, _BACKUPS, _SIZE = "audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"
#: What both kinds of outlets have, after ``audit-log-`` or ``audit-webhook-``.
_SHARED = (
    "batch-buffer-size",
    "batch-max-size",
    "batch-max-wait",
    "batch-throttle-burst",
    "batch-throttle-enable",
    "batch-throttle-qps",
    "mode",
    "truncate-enabled",
    "truncate-max-batch-size",
    "truncate-max-event-size",
    "version",
)
_HOOK, _BACKOFF = "audit-webhook-config-file", "audit-webhook-initial-backoff"
_OUTLETS = frozenset(f"audit-{kind}-{each}" for kind in ("log", "webhook") for each in _SHARED)
_INFLIGHT, _MUTATING = "max-requests-inflight", "max-mutating-requests-inflight"
_TIMEOUT, _DELAY = "request-timeout", "shutdown-delay-duration"
KNOWN = _OUTLETS | {_POLICY, _PATH, _AGE, _BACKUPS, _SIZE, _INFLIGHT, _MUTATING, _TIMEOUT, _DELAY}
KNOWN |= {"audit-log-format", _HOOK, _BACKOFF, "logging-format", "v"}


class ServingOptions(Struct, frozen=True):
    """What the flags say."""

    limits: RequestLimits = field(default_factory=RequestLimits)
    audit: AuditOptions = field(default_factory=AuditOptions)


def read(args: Mapping[str, str]) -> ServingOptions:
    """What these flags say; others are not looked at. Raises ValueError; the policy is read to see whether it holds."""
    path = Path(args[_POLICY]) if _POLICY in args else None
    if path is not None:
        policy.load(path)
    _number(args, "v", 0)  # for who starts the process: logs begin before the server does
    _check(args, "logging-format", FORMS, "text")
    plain = RequestLimits()
    limits = RequestLimits(
        _number(args, _INFLIGHT, plain.max_requests_inflight),
        _number(args, _MUTATING, plain.max_mutating_requests_inflight),
        _seconds(args, _TIMEOUT, plain.request_timeout),
        _seconds(args, _DELAY, plain.shutdown_delay),
    )
    if limits.request_timeout <= 0:
        raise ValueError(f"{_TIMEOUT}: it can not be negative value or zero")
    return ServingOptions(limits, AuditOptions(path, tuple(_outlets(args))))


def _outlets(args: Mapping[str, str]) -> Iterator[OutletOptions]:
    _check(args, "audit-log-format", ("json",), "json")
    numbers = (_number(args, _AGE, 0), _number(args, _BACKUPS, 0), _number(args, _SIZE, 100))
    if _PATH in args:
        mode = _check(args, "audit-log-mode", ("blocking", "blocking-strict", "batch"), "blocking")
        batches = _batches(args, "audit-log-", BatchOptions(most=1, rate=0.0))
        yield OutletOptions(
            LogOptions(args[_PATH], *numbers),
            batches if mode == "batch" else None,
            mode == "blocking-strict",
            _longest(args, "audit-log-"),
        )
    if _HOOK in args:
        _check(args, "audit-webhook-mode", ("batch",), "batch")
        hook = WebhookOptions(Path(args[_HOOK]), _seconds(args, _BACKOFF, 10.0))
        yield OutletOptions(
            hook, _batches(args, "audit-webhook-", BatchOptions()), longest=_longest(args, "audit-webhook-")
        )


def _batches(args: Mapping[str, str], prefix: str, plain: BatchOptions) -> BatchOptions:
    qps = args.get(f"{prefix}batch-throttle-qps", "")
    try:
        rate = float(qps) if qps else (plain.rate or 10.0)
    except ValueError:
        raise ValueError(f"{prefix}batch-throttle-qps: {qps!r} is no number") from None
    throttled = _check(args, f"{prefix}batch-throttle-enable", ("true", "false"), "true" if plain.rate else "false")
    found = BatchOptions(
        _number(args, f"{prefix}batch-buffer-size", plain.buffer),
        _number(args, f"{prefix}batch-max-size", plain.most),
        _seconds(args, f"{prefix}batch-max-wait", plain.wait),
        rate if throttled == "true" else 0.0,
        _number(args, f"{prefix}batch-throttle-burst", plain.burst),
        _number(args, f"{prefix}truncate-max-batch-size", 10485760) if _longest(args, prefix) else 0,
    )
    if not found.buffer or not found.most:
        raise ValueError(f"invalid audit batch {prefix}batch-buffer-size or {prefix}batch-max-size, must be positive")
    if found.most > found.buffer:
        raise ValueError(f"invalid audit batch {prefix}batch-max-size {found.most}: must not exceed the buffer's size")
    return found


def _longest(args: Mapping[str, str], prefix: str) -> int:
    _check(args, f"{prefix}version", ("audit.k8s.io/v1",), "audit.k8s.io/v1")
    enabled = _check(args, f"{prefix}truncate-enabled", ("true", "false"), "false")
    longest = _number(args, f"{prefix}truncate-max-event-size", 102400)
    if _number(args, f"{prefix}truncate-max-batch-size", 10485760) < longest:
        raise ValueError(f"{prefix}truncate-max-event-size must not exceed {prefix}truncate-max-batch-size")
    return longest if enabled == "true" else 0


def _check(args: Mapping[str, str], name: str, known: Sequence[str], default: str) -> str:
    said = args.get(name, default)
    if said not in known:
        raise ValueError(f"{name}: {said!r} is none of {', '.join(known)}")
    return said


def _number(args: Mapping[str, str], name: str, default: int) -> int:
    text = args.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise ValueError(f"{name}: {text!r} is not a number from 0 on")
    return int(text)


def _seconds(args: Mapping[str, str], name: str, default: float) -> float:
    text = args.get(name)
    if text is None:
        return default
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
