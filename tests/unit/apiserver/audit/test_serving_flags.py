"""Upstream's flags about limits and audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.apiserver import serving_flags
from podkeeper.apiserver.audit.options import BatchOptions, LogOptions, OutletOptions, WebhookOptions
from podkeeper.apiserver.authentication import flags
from podkeeper.apiserver.limits import RequestLimits


def test_flags_say_how_much_and_how_long(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    args = {
        "audit-policy-file": str(policy),
        "audit-log-path": "/somewhere/audit.log",
        "audit-log-maxage": "3",
        "audit-log-maxbackup": "4",
        "audit-log-maxsize": "5",
        "max-requests-inflight": "7",
        "max-mutating-requests-inflight": "6",
        "request-timeout": "1m30s",
        "shutdown-delay-duration": "500ms",
    }
    said = serving_flags.read(args)
    assert said.audit.policy == policy
    assert said.audit.outlets == (OutletOptions(LogOptions("/somewhere/audit.log", 3, 4, 5)),)
    assert said.limits == RequestLimits(7, 6, 90.0, 0.5)
    assert said.limits.seats == 13
    flags.read(args)  # the flags about identity leave these alone


def test_without_flags_all_is_as_it_was() -> None:
    assert serving_flags.read({"anonymous-auth": "false"}) == serving_flags.ServingOptions()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("audit-log-maxage", "-1", "is not a number"),
        ("request-timeout", "10", 'missing unit in duration "10"'),
        ("request-timeout", "0s", "zero"),
        ("request-timeout", "1x", 'unknown unit "x" in duration "1x"'),
        ("request-timeout", "soon", 'invalid duration "soon"'),
        ("audit-policy-file", "/nowhere/policy.yaml", "No such file"),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        serving_flags.read({name: value})


def test_flags_say_where_events_go_and_how() -> None:
    said = serving_flags.read(
        {
            "audit-log-path": "-",
            "audit-log-mode": "batch",
            "audit-log-batch-max-size": "7",
            "audit-webhook-config-file": "/hook",
            "audit-webhook-initial-backoff": "3s",
            "audit-webhook-batch-max-wait": "5s",
            "audit-webhook-batch-throttle-enable": "false",
            "audit-webhook-truncate-enabled": "true",
            "audit-webhook-truncate-max-event-size": "1000",
        }
    )
    log, hook = said.audit.outlets
    assert log == OutletOptions(LogOptions("-"), BatchOptions(most=7, rate=0.0))
    assert hook.target == WebhookOptions(Path("/hook"), 3.0)
    assert (hook.batches, hook.longest) == (BatchOptions(wait=5.0, rate=0.0, largest=10485760), 1000)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"audit-log-format": "legacy"}, "none of json"),
        ({"audit-log-path": "-", "audit-log-mode": "later"}, "none of blocking, blocking-strict, batch"),
        ({"audit-log-path": "-", "audit-log-version": "audit.k8s.io/v1beta1"}, "none of audit.k8s.io/v1"),
        ({"audit-webhook-config-file": "/h", "audit-webhook-mode": "blocking"}, "none of batch"),
        ({"audit-webhook-config-file": "/h", "audit-webhook-batch-buffer-size": "5"}, "must not exceed"),
    ],
)
def test_outlets_that_cannot_be_are_refused(args: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        serving_flags.read(args)
