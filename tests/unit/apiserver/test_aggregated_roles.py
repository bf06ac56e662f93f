"""Which rules an aggregated ClusterRole is to have."""

from typing import Any

import pytest

from podkeeper.apiserver.authorization.aggregation import aggregated_rules, outdated
from podkeeper.apiserver.authorization.rules import compile_rule
from podkeeper.apiserver.bootstrap import policy
from podkeeper.apiserver.requestinfo import parse

READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
WRITE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}


def role(name: str, *rules: Any, labels: Any = None, selects: Any = None) -> dict[str, Any]:
    tree: dict[str, Any] = {"metadata": {"name": name, "labels": labels or {}}, "rules": list(rules)}
    if selects:
        tree["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": selects}]}
    return tree


def test_rules_of_all_that_match_each_once_by_name() -> None:
    total = role("total", selects={"to": "total"})
    roles = [
        role("b", READ, WRITE, labels={"to": "total"}),
        total,
        role("a", READ, labels={"to": "total"}),
        role("c", WRITE),
    ]
    assert aggregated_rules(total, roles) == [READ, WRITE]


def test_only_what_differs_is_outdated() -> None:
    right = role("right", READ, selects={"to": "right"})
    wrong = role("wrong", READ, selects={"to": "wrong"})
    assert outdated([right, wrong, role("a", READ, labels={"to": "right"})]) == {"wrong": []}


def test_a_role_never_aggregates_itself() -> None:
    own = role("own", READ, labels={"to": "own"}, selects={"to": "own"})
    assert aggregated_rules(own, [own]) == []


@pytest.mark.parametrize(
    ("rule", "path", "allowed"),
    [
        (READ, "/api/v1/namespaces/d/pods/p", True),
        (READ, "/api/v1/namespaces/d/pods/p/log", False),
        ({"apiGroups": [""], "resources": ["*/log"], "verbs": ["*"]}, "/api/v1/namespaces/d/pods/p/log", True),
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]}, "/apis/apps/v1/namespaces/d/deployments/x", True),
        (READ | {"resourceNames": ["p"]}, "/api/v1/namespaces/d/pods/p", True),
        (READ | {"resourceNames": ["q"]}, "/api/v1/namespaces/d/pods/p", False),
        (READ | {"apiGroups": ["apps"]}, "/api/v1/namespaces/d/pods/p", False),
        ({"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]}, "/healthz/ping", True),
        ({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, "/healthz/ping", False),
        ({"nonResourceURLs": ["*"], "verbs": ["get"]}, "/anything", True),
    ],
)
def test_what_a_rule_covers(rule: Any, path: str, allowed: bool) -> None:
    assert compile_rule(rule).allows(parse("GET", path.encode())) is allowed


def test_the_policy_names_every_role_that_it_binds() -> None:
    present = {
        (tree["kind"], tree["metadata"].get("namespace", ""), tree["metadata"]["name"]) for tree in policy.objects()
    }
    for tree in policy.objects():
        if tree["kind"].endswith("Binding"):
            reference = tree["roleRef"]
            namespace = tree["metadata"].get("namespace", "") if reference["kind"] == "Role" else ""
            assert (reference["kind"], namespace, reference["name"]) in present, tree["metadata"]["name"]


def test_what_others_added_stays_and_what_is_missing_comes_back() -> None:
    wanted = role("r", READ, WRITE)
    own = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}
    changed = policy.reconciled(role("r", own, READ), wanted)
    assert changed is not None
    assert changed["rules"] == [own, READ, WRITE]
    assert policy.reconciled(role("r", WRITE, READ), wanted) is None
    kept = role("r")
    kept["metadata"]["annotations"] = {policy.AUTOUPDATE: "false"}
    assert policy.reconciled(kept, wanted) is None
