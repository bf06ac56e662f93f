"""Which rules an aggregated ClusterRole is to have."""

from pathlib import Path
from typing import Any

import pytest

from podkeeper.apiserver.authorization.aggregation import aggregated_rules, outdated
from podkeeper.apiserver.authorization.rbac import GROUP
from podkeeper.apiserver.authorization.rules import compile_rule
from podkeeper.apiserver.bootstrap import policy
from podkeeper.apiserver.bootstrap.ensure import SELF
from podkeeper.apiserver.requestinfo import parse
from podkeeper.registry.verbs import DeleteOptions, RequestContext
from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.api_server import running_api_server

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


def test_what_is_covered_already_is_not_added_again() -> None:
    wanted = role("r", READ)
    wider = {**READ, "verbs": ["get", "watch", "patch"]}
    assert policy.reconciled(role("r", wider), wanted) is None
    changed = policy.reconciled(role("r", WRITE), role("r", {**READ, "verbs": ["create", "get", "list"]}))
    assert changed is not None
    assert changed["rules"] == [WRITE, READ, {**READ, "verbs": ["list"]}]


def test_selectors_of_others_stay() -> None:
    own, others = {"matchLabels": {"own": "true"}}, {"matchLabels": {"others": "true"}}
    wanted = {**role("r"), "aggregationRule": {"clusterRoleSelectors": [own]}}
    present = {**role("r"), "aggregationRule": {"clusterRoleSelectors": [others]}}
    changed = policy.reconciled(present, wanted)
    assert changed is not None
    assert changed["aggregationRule"] == {"clusterRoleSelectors": [others, own]}
    assert policy.reconciled({**role("r"), "aggregationRule": {"clusterRoleSelectors": [others, own]}}, wanted) is None


async def test_bindings_that_were_led_elsewhere_lead_back_at_the_next_start(tmp_path: Path) -> None:
    store, elsewhere = MemoryStore(), {"name": "view"}
    names = ("clusterrolebindings", "system:kube-scheduler"), ("clusterrolebindings", "system:monitoring")
    async with running_api_server(tmp_path, store=store) as server:
        context = RequestContext(SELF)
        for resource, name in names:
            verbs = server.registry.verbs(GROUP, "v1", resource)
            assert verbs is not None
            tree = (await verbs.get("", name)).tree()
            await verbs.delete(context, "", name, DeleteOptions())
            annotations = {policy.AUTOUPDATE: "false"} if name == "system:monitoring" else {}
            metadata = {"name": name, "annotations": annotations}
            led = {**tree, "metadata": metadata, "roleRef": tree["roleRef"] | elsewhere, "subjects": []}
            await verbs.create(context, "", led)
    async with running_api_server(tmp_path, store=store) as server:
        verbs = server.registry.verbs(GROUP, "v1", "clusterrolebindings")
        assert verbs is not None
        found = {name: (await verbs.get("", name)).tree() for _, name in names}
        assert found["system:kube-scheduler"]["roleRef"]["name"] == "system:kube-scheduler"
        assert found["system:kube-scheduler"]["subjects"]
        assert found["system:monitoring"]["roleRef"]["name"] == "view"
    await store.close()
