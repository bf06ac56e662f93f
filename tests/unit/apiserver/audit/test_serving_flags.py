"""Upstream's flags about limits and audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.apiserver import serving_flags
from podkeeper.apiserver.audit.log import LogOptions
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
    assert said.audit.log == LogOptions("/somewhere/audit.log", 3, 4, 5)
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
