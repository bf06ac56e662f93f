"""What writes leave in managedFields, and what applying a configuration does."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from podkeeper.api import defaults, schema
from podkeeper.api.apply import FieldManager, Writer, nodes
from podkeeper.api.apply.fieldmanager import BEFORE_FIRST_APPLY, LAST_APPLIED
from podkeeper.api.apply.managers import ANCIENT_CHANGES, MAX_UPDATERS
from podkeeper.api.errors import ApiError
from podkeeper.api.resources import lookup

Tree = dict[str, Any]
T1, T2, T3 = (f"2026-01-01T00:00:0{n}Z" for n in (1, 2, 3))


def manager_of(group: str, version: str, kind: str, **face: Any) -> FieldManager:
    found = schema.for_kind(group, version, kind)
    assert found is not None
    api_version = f"{group}/{version}" if group else version
    return FieldManager((api_version, kind), nodes.of_type(found), lambda tree, version: None, **face)


@pytest.fixture
def deployments() -> FieldManager:
    return manager_of("apps", "v1", "Deployment", hidden=("status",))


@pytest.fixture
def configmaps() -> FieldManager:
    return manager_of("", "v1", "ConfigMap")


def deployment(**spec: Any) -> Tree:
    container = {"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template} | spec,
    }


def configmap(**data: str) -> Tree:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": data}


def created(fields: FieldManager, tree: Tree, by: str = "kubectl-create", resource: str = "") -> Tree:
    new = copy.deepcopy(tree)
    if resource:
        found = lookup("apps", "v1", resource)
        assert found is not None
        defaults.apply(found, new)
    fields.record(None, new, Writer(by, T1))
    return new


def claims(tree: Tree) -> dict[tuple[str, str], Any]:
    entries = tree["metadata"].get("managedFields", ())
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def test_a_creation_claims_what_it_writes_defaults_included(deployments: FieldManager) -> None:
    """The claims are those that a cluster of upstream's shows for this very object."""
    (entry,) = created(deployments, deployment(), resource="deployments")["metadata"]["managedFields"]
    spec = entry.pop("fieldsV1")["f:spec"]
    assert list(entry.items()) == [
        ("manager", "kubectl-create"),
        ("operation", "Update"),
        ("apiVersion", "apps/v1"),
        ("time", T1),
        ("fieldsType", "FieldsV1"),
    ]
    assert spec["f:strategy"] == {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}}
    assert spec["f:selector"] == {}
    assert spec["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    container = spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"nginx"}']
    port = 'k:{"containerPort":80,"protocol":"TCP"}'
    assert container["f:ports"] == {".": {}, port: {".": {}, "f:containerPort": {}, "f:protocol": {}}}
    assert {"f:resources", "f:image", "f:name", "."} <= container.keys()


def test_an_update_takes_what_it_changes_and_nothing_else(configmaps: FieldManager) -> None:
    live = created(configmaps, configmap(a="1", b="2"), "first")
    new = configmap(a="1", b="3")
    configmaps.record(live, new, Writer("second", T2))
    assert claims(new) == {
        ("first", "Update"): {"f:data": {".": {}, "f:a": {}}},
        ("second", "Update"): {"f:data": {"f:b": {}}},
    }


def test_a_removed_field_belongs_to_nobody(configmaps: FieldManager) -> None:
    live = created(configmaps, configmap(a="1", b="2"), "first")
    new = configmap(a="1")
    configmaps.record(live, new, Writer("second", T2))
    assert claims(new) == {("first", "Update"): {"f:data": {".": {}, "f:a": {}}}}


def test_a_write_that_changes_nothing_leaves_the_entries_alone(configmaps: FieldManager) -> None:
    live = created(configmaps, configmap(a="1"), "first")
    new = configmap(a="1")
    configmaps.record(live, new, Writer("second", T2))
    assert new == live


@pytest.mark.parametrize(
    ("said", "kept"),
    [(None, True), ([], True), ([{"manager": "x", "operation": "Other"}], True), ([{}], False)],
    ids=["not there", "empty list", "nonsense", "one empty entry"],
)
def test_clients_can_forget_managers_but_not_by_accident(configmaps: FieldManager, said: Any, kept: bool) -> None:
    live = created(configmaps, configmap(a="1"), "first")
    new = configmap(a="2")
    if said is not None:
        new["metadata"]["managedFields"] = said
    configmaps.record(live, new, Writer("second", T2))
    assert bool(new["metadata"].get("managedFields")) is kept


def test_faces_of_one_object_have_managers_of_their_own(deployments: FieldManager) -> None:
    status = manager_of("apps", "v1", "Deployment", subresource="status", hidden=("spec",))
    live = created(deployments, deployment(), "kubectl-create", "deployments")
    new = copy.deepcopy(live) | {"status": {"replicas": 1}}
    status.record(live, new, Writer("kube-controller-manager", T2))
    (entry,) = (each for each in new["metadata"]["managedFields"] if each.get("subresource") == "status")
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}


def test_the_oldest_of_many_updaters_become_one(configmaps: FieldManager) -> None:
    live = created(configmaps, configmap(k="0"), "creator")
    for n in range(MAX_UPDATERS + 3):
        new = copy.deepcopy(live)
        new["data"][f"k{n}"] = "1"
        configmaps.record(live, new, Writer(f"updater-{n:02}", f"2026-01-01T00:01:{n:02}Z"))
        live = new
    names = {manager for manager, _ in claims(live)}
    assert len(names) == MAX_UPDATERS
    assert ANCIENT_CHANGES in names
    assert "creator" not in names


def test_applying_creates_and_claims_only_what_was_said(deployments: FieldManager) -> None:
    new = deployments.apply(None, deployment(replicas=2), Writer("me", T1), False)
    assert claims(new)["me", "Apply"]["f:spec"]["f:replicas"] == {}
    assert claims(new)["me", "Apply"]["f:metadata"] == {"f:labels": {"f:app": {}}}


def test_a_field_that_another_manages_is_a_conflict(deployments: FieldManager) -> None:
    live = created(deployments, deployment(replicas=1), resource="deployments")
    with pytest.raises(ApiError) as refused:
        deployments.apply(live, deployment(replicas=2), Writer("me", T2), False)
    status = refused.value.status()
    assert (status["code"], status["reason"]) == (409, "Conflict")
    with_whom = 'conflict with "kubectl-create" using apps/v1'
    assert status["message"] == f"Apply failed with 1 conflict: {with_whom}: .spec.replicas"
    cause = {"reason": "FieldManagerConflict", "message": with_whom, "field": ".spec.replicas"}
    assert status["details"]["causes"] == [cause]


def test_several_conflicts_are_listed_by_manager(configmaps: FieldManager) -> None:
    live = created(configmaps, configmap(a="1", b="1"), "one")
    live = configmaps.apply(live, configmap(c="1"), Writer("two", T2), False)
    with pytest.raises(ApiError) as refused:
        configmaps.apply(live, configmap(a="2", b="2", c="2"), Writer("me", T3), False)
    assert refused.value.message.splitlines() == [
        'Apply failed with 3 conflicts: conflicts with "one" using v1:',
        "- .data.a",
        "- .data.b",
        'conflicts with "two":',
        "- .data.c",
    ]


def test_force_takes_the_field(deployments: FieldManager) -> None:
    live = created(deployments, deployment(replicas=1), resource="deployments")
    new = deployments.apply(live, deployment(replicas=2), Writer("me", T2), True)
    assert new["spec"]["replicas"] == 2
    assert "f:replicas" in claims(new)["me", "Apply"]["f:spec"]
    assert "f:replicas" not in claims(new)["kubectl-create", "Update"]["f:spec"]


def test_equal_values_are_shared_without_conflict(configmaps: FieldManager) -> None:
    live = configmaps.apply(None, configmap(a="1"), Writer("one", T1), False)
    both = configmaps.apply(live, configmap(a="1"), Writer("two", T2), False)
    assert claims(both) == {(name, "Apply"): {"f:data": {"f:a": {}}} for name in ("one", "two")}


def test_what_is_no_longer_applied_goes_unless_another_manages_it(configmaps: FieldManager) -> None:
    live = configmaps.apply(None, configmap(a="1", b="1", c="1"), Writer("me", T1), False)
    live = configmaps.apply(live, configmap(b="1"), Writer("other", T2), False)
    new = configmaps.apply(live, configmap(c="1"), Writer("me", T3), False)
    assert new["data"] == {"b": "1", "c": "1"}
    gone = configmaps.apply(new, configmap(), Writer("me", T3), False)
    assert gone["data"] == {"b": "1"}
    assert claims(gone)["other", "Apply"] == {"f:data": {"f:b": {}}}


def test_metadata_stays_when_all_that_was_applied_of_it_goes(configmaps: FieldManager) -> None:
    labelled = configmap() | {"metadata": {"name": "c", "namespace": "default", "labels": {"a": "b"}}}
    live = configmaps.apply(None, labelled, Writer("one", T1), False)
    bare = configmaps.apply(live, configmap(), Writer("one", T2), False)
    assert bare["metadata"].keys() == {"name", "namespace", "managedFields"}


def test_members_of_lists_are_told_apart_by_their_keys(deployments: FieldManager) -> None:
    live = deployments.apply(None, deployment(), Writer("me", T1), False)
    sidecar = deployment()
    sidecar["spec"]["template"]["spec"]["containers"] = [{"name": "sidecar", "image": "s"}]
    both = deployments.apply(live, sidecar, Writer("injector", T2), False)
    names = [each["name"] for each in both["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["nginx", "sidecar"]
    alone = deployments.apply(both, deployment(), Writer("injector", T3), False)
    assert [each["name"] for each in alone["spec"]["template"]["spec"]["containers"]] == ["nginx"]


def test_applied_members_keep_their_order_and_others_their_place(configmaps: FieldManager) -> None:
    pods = manager_of("", "v1", "Pod", hidden=("status",))

    def pod(*names: str) -> Tree:
        containers = [{"name": name, "image": "i"} for name in names]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}

    live = created(pods, pod("a", "b", "c"), "creator")
    new = pods.apply(live, pod("x", "c", "b"), Writer("me", T2), False)
    assert [each["name"] for each in new["spec"]["containers"]] == ["a", "x", "c", "b"]


def test_applying_again_changes_nothing_not_even_the_time(deployments: FieldManager) -> None:
    live = deployments.apply(None, deployment(), Writer("me", T1), False)
    assert deployments.apply(live, deployment(), Writer("me", T2), False) == live


def test_an_object_without_managers_was_written_before_the_first_apply(configmaps: FieldManager) -> None:
    live = configmap(a="1")
    with pytest.raises(ApiError, match=BEFORE_FIRST_APPLY):
        configmaps.apply(live, configmap(a="2"), Writer("me", T2), False)


def test_kubectl_takes_over_what_it_applied_on_its_own_side(configmaps: FieldManager) -> None:
    last = configmap(a="1")
    live = configmap(a="1")
    live["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(last)}
    live = created(configmaps, live, "kubectl-client-side-apply")
    new = configmaps.apply(live, configmap(a="2"), Writer("kubectl", T2), False)
    assert new["data"] == {"a": "2"}
    with pytest.raises(ApiError, match="kubectl-client-side-apply"):
        configmaps.apply(live, configmap(a="2"), Writer("somebody", T2), False)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"apiVersion": "v2"}, 400, "Incorrect version specified in apply patch"),
        ({"metadata": {"managedFields": [{"manager": "x"}]}}, 400, "metadata.managedFields must be nil"),
        ({"spex": 1}, 500, r"failed to create typed patch object \(.*\.spex: field not declared in schema"),
    ],
)
def test_configurations_that_cannot_be_applied(configmaps: FieldManager, change: Tree, code: int, message: str) -> None:
    with pytest.raises(ApiError, match=message) as refused:
        configmaps.apply(None, configmap() | change, Writer("me", T1), False)
    assert refused.value.code == code


def test_trees_that_are_given_stay_as_they_are(deployments: FieldManager) -> None:
    live = created(deployments, deployment(replicas=1), resource="deployments")
    before, config = copy.deepcopy(live), deployment(replicas=2)
    deployments.apply(live, config, Writer("me", T2), True)
    assert live == before
    assert config == deployment(replicas=2)


def test_an_object_that_is_nested_too_deeply_keeps_the_managers_that_it_has() -> None:
    anything = FieldManager(("a/v1", "K"), nodes.ANY, lambda tree, version: None)
    live = created(anything, {"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "x"}, "spec": {"a": 1}})
    deep: Tree = {}
    for _ in range(5000):
        deep = {"d": deep}
    new = live | {"spec": deep}
    anything.record(live, new, Writer("second", T2))
    assert list(claims(new)) == [("kubectl-create", "Update")]
