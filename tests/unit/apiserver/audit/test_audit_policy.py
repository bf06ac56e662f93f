"""Which rule of an audit policy a request falls under, and which policies are refused."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.audit.policy import Level, PolicyError, compile_policy
from podkeeper.apiserver.requestinfo import parse


def policy(*rules: dict[str, Any], **fields: Any) -> Any:
    return compile_policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **fields})


ALICE = UserInfo("alice", groups=("people", "system:authenticated"))


@pytest.mark.parametrize(
    ("rule", "method", "path", "matches"),
    [
        ({}, "GET", "/api/v1/pods", True),
        ({"users": ["alice"]}, "GET", "/api", True),
        ({"users": ["bob"]}, "GET", "/api", False),
        ({"userGroups": ["people"]}, "GET", "/api", True),
        ({"userGroups": ["robots"]}, "GET", "/api", False),
        ({"verbs": ["list"]}, "GET", "/api/v1/pods", True),
        ({"verbs": ["list"]}, "GET", "/api/v1/pods?watch=1", False),
        ({"namespaces": ["a"]}, "GET", "/api/v1/namespaces/a/pods", True),
        ({"namespaces": [""]}, "GET", "/api/v1/nodes", True),
        ({"namespaces": ["a"]}, "GET", "/healthz", False),
        ({"resources": [{"group": ""}]}, "GET", "/api/v1/pods", True),
        ({"resources": [{"group": ""}]}, "GET", "/apis/apps/v1/deployments", False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, "GET", "/api/v1/namespaces/a/pods/x/log", False),
        ({"resources": [{"group": "", "resources": ["pods/log"]}]}, "GET", "/api/v1/namespaces/a/pods/x/log", True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, "GET", "/api/v1/namespaces/a/pods/x/log", True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, "GET", "/api/v1/namespaces/a/pods/x/log", True),
        ({"resources": [{"group": "", "resources": ["*"]}]}, "GET", "/api/v1/namespaces/a/pods/x/log", True),
        (
            {"resources": [{"group": "", "resources": ["configmaps"], "resourceNames": ["x"]}]},
            "GET",
            "/api/v1/namespaces/a/configmaps/x",
            True,
        ),
        (
            {"resources": [{"group": "", "resources": ["configmaps"], "resourceNames": ["x"]}]},
            "GET",
            "/api/v1/namespaces/a/configmaps/y",
            False,
        ),
        ({"nonResourceURLs": ["/healthz*"]}, "GET", "/healthz/etcd", True),
        ({"nonResourceURLs": ["/healthz"]}, "GET", "/healthz/etcd", False),
        ({"nonResourceURLs": ["*"]}, "GET", "/api/v1/pods", False),
    ],
)
def test_rules_match_as_upstreams(rule: dict[str, Any], method: str, path: str, matches: bool) -> None:
    ruling = policy({"level": "Request", **rule}).ruling(ALICE, parse(method, path.encode()))
    assert ruling.level is (Level.REQUEST if matches else Level.NONE)


def test_the_first_rule_decides_and_stages_add_up() -> None:
    made = policy(
        {"level": "None", "users": ["alice"]},
        {"level": "Metadata", "omitStages": ["ResponseStarted"], "omitManagedFields": False},
        omitStages=["RequestReceived"],
        omitManagedFields=True,
    )
    info = parse("GET", b"/api")
    assert made.ruling(ALICE, info).level is Level.NONE
    other = made.ruling(UserInfo("bob"), info)
    assert other.level is Level.METADATA
    assert other.omitted_stages == {"RequestReceived", "ResponseStarted"}
    assert not other.omit_managed_fields


def test_a_refused_client_is_nobody() -> None:
    made = policy({"level": "Request", "users": ["alice"]}, {"level": "Metadata"})
    assert made.ruling(None, parse("GET", b"/api")).level is Level.METADATA


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ([], "not a Policy"),
        ({"apiVersion": "audit.k8s.io/v1beta1", "kind": "Policy"}, "not a Policy"),
        ({"rules": []}, "0 rules"),
        ({"rules": [{"level": "Most"}]}, 'Unsupported value: "Most"'),
        ({"rules": [{"level": "None"}], "omitStages": ["Before"]}, "allowed stages"),
        ({"rules": [{"level": "None", "user": ["x"]}]}, 'unknown field "rules[0].user"'),
        ({"rules": [{"level": "None", "resources": [{"resourceNames": ["x"]}]}]}, "at least one resource"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["b"]}]}, "both regular resources"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["a"]}]}, "must begin with a"),
        ({"rules": [{"level": "None", "nonResourceURLs": ["/a*b"]}]}, "must be the final character"),
    ],
)
def test_policies_that_cannot_hold_are_refused(tree: Any, why: str) -> None:
    if isinstance(tree, dict):
        tree = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **tree}
    with pytest.raises(PolicyError) as refused:
        compile_policy(tree)
    assert why in str(refused.value)
