"""Upstream's flags about how much at once, how long, and what is logged of it.

Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from podkeeper.apiserver.audit import policy
from podkeeper.apiserver.audit.auditor import AuditOptions
from podkeeper.apiserver.audit.log import LogOptions
from podkeeper.apiserver.deadlines import parse_duration
from podkeeper.apiserver.limits import RequestLimits

_POLICY, _PATH = "audit-policy-file", "audit-log-path"
_AGE, _BACKUPS, _SIZE = "audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"
_INFLIGHT, _MUTATING = "max-requests-inflight", "max-mutating-requests-inflight"
_TIMEOUT, _DELAY = "request-timeout", "shutdown-delay-duration"
KNOWN = frozenset({_POLICY, _PATH, _AGE, _BACKUPS, _SIZE, _INFLIGHT, _MUTATING, _TIMEOUT, _DELAY})


class ServingOptions(Struct, frozen=True):
    """What the flags say."""

    limits: RequestLimits = field(default_factory=RequestLimits)
    audit: AuditOptions = field(default_factory=AuditOptions)


def read(args: Mapping[str, str]) -> ServingOptions:
    """What these flags say; others are not looked at. Raises ValueError; the policy is read to see whether it holds."""
    path = Path(args[_POLICY]) if _POLICY in args else None
    if path is not None:
        policy.load(path)
    log = LogOptions(args.get(_PATH, ""), _number(args, _AGE, 0), _number(args, _BACKUPS, 0), _number(args, _SIZE, 100))
    plain = RequestLimits()
    limits = RequestLimits(
        _number(args, _INFLIGHT, plain.max_requests_inflight),
        _number(args, _MUTATING, plain.max_mutating_requests_inflight),
        _seconds(args, _TIMEOUT, plain.request_timeout),
        _seconds(args, _DELAY, plain.shutdown_delay),
    )
    if limits.request_timeout <= 0:
        raise ValueError(f"{_TIMEOUT}: it can not be negative value or zero")
    return ServingOptions(limits, AuditOptions(path, log))


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
