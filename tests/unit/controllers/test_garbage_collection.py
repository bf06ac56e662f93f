"""The garbage collector with the workloads it cleans up after, against a whole API server."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.networking import v1 as networking
from podkeeper.api.rbac import v1 as rbac
from podkeeper.api.resources import for_type
from podkeeper.api.scheduling import v1 as scheduling
from podkeeper.controllers.deployment import Deployments
from podkeeper.controllers.framework import Key
from podkeeper.controllers.garbage_collector import GarbageCollector
from podkeeper.controllers.replica_set import ReplicaSets
from podkeeper.foundation.clock import SystemClock

WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "a", "image": "i"}], "terminationGracePeriodSeconds": 0},
        },
    },
}


def config_map(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": list(owners)}}


def owner(obj: Any, **changes: Any) -> dict[str, Any]:
    reference = {"apiVersion": obj.api_version, "kind": obj.kind, "name": obj.metadata.name, "uid": obj.metadata.uid}
    return reference | changes


def names(found: list[Any]) -> set[str]:
    return {each.metadata.name for each in found if each.metadata.namespace == "default"}


def going(found: list[Any]) -> set[str]:
    return {each.metadata.name for each in found if each.metadata.deletion_timestamp}


@pytest.fixture
async def web(house: Any) -> apps.Deployment:
    for make in (GarbageCollector, ReplicaSets, Deployments):
        house.start(make)
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    made: apps.Deployment = await house.create(WEB)
    await house.until(v1.Pod, lambda pods: len(pods) == 2)
    return made


@pytest.mark.parametrize("policy", ["", "Background", "Foreground"])
async def test_a_deployment_takes_its_replica_sets_and_pods_along(house: Any, web: Any, policy: str) -> None:
    await house.api.of(apps.Deployment).delete("web", "default", propagation=policy)
    await house.until(v1.Pod, lambda pods: not pods)
    await house.until(apps.ReplicaSet, lambda sets: not sets)
    await house.until(apps.Deployment, lambda found: not found)


async def test_an_orphaned_replica_set_keeps_its_pods_and_is_taken_by_the_next_deployment(house: Any, web: Any) -> None:
    await house.api.of(apps.Deployment).delete("web", "default", propagation="Orphan")
    await house.until(apps.Deployment, lambda found: not found)
    [orphan] = await house.until(apps.ReplicaSet, lambda sets: not any(one.metadata.owner_references for one in sets))
    pods = names(list(house.informers.informer(v1.Pod).lister))
    again = await house.create(WEB)
    assert again.metadata.uid != web.metadata.uid
    [adopted] = await house.until(apps.ReplicaSet, lambda sets: all(one.metadata.owner_references for one in sets))
    assert adopted.metadata.uid == orphan.metadata.uid
    await house.until(apps.Deployment, lambda found: found and found[0].status.updated_replicas == 2)
    assert names(list(house.informers.informer(v1.Pod).lister)) == pods


async def test_in_the_foreground_the_owner_goes_last(house: Any) -> None:
    house.start(GarbageCollector)
    parent = await house.create(config_map("parent"))
    held = config_map("child", owner(parent, blockOwnerDeletion=True))
    held["metadata"]["finalizers"] = ["example.com/held"]
    await house.create(held)
    await house.until(v1.ConfigMap, lambda found: {"parent", "child"} <= names(found))
    await house.api.of(v1.ConfigMap).delete("parent", "default", propagation="Foreground")
    await house.until(v1.ConfigMap, lambda found: len(going(found)) == 2)
    assert (await house.api.of(v1.ConfigMap).get("parent", "default")).metadata.finalizers == ("foregroundDeletion",)
    await house.api.of(v1.ConfigMap).patch("child", {"metadata": {"finalizers": None}}, "default")
    await house.until(v1.ConfigMap, lambda found: not names(found))


async def test_an_owner_that_never_was_is_looked_up_before_its_dependent_goes(house: Any) -> None:
    house.start(GarbageCollector)
    parent = await house.create(config_map("parent"))
    await house.create(config_map("kept", owner(parent), owner(parent, uid="of-an-earlier-life")))
    await house.create(config_map("stray", owner(parent, uid="of-an-earlier-life")))
    await house.create(config_map("foreign", owner(parent, apiVersion="example.com/v1", kind="Widget")))
    found = await house.until(
        v1.ConfigMap,
        lambda all_: (
            names(all_) == {"parent", "kept", "foreign"}
            and all(len(one.metadata.owner_references) == 1 for one in all_ if one.metadata.name == "kept")
        ),
    )
    [kept] = [one for one in found if one.metadata.name == "kept"]
    assert kept.metadata.owner_references[0].uid == parent.metadata.uid


async def test_an_owner_whose_kind_is_not_followed_is_asked_for(house: Any) -> None:
    role = await house.create(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}
    )
    house.start(GarbageCollector)
    await house.create(config_map("kept", owner(role)))
    await house.create(config_map("stray", owner(role, uid="other")))
    await house.until(v1.ConfigMap, lambda found: names(found) == {"kept"})


@pytest.mark.parametrize("policy", ["Orphan", "Foreground"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (rbac.ClusterRole, {"rules": []}),
        (networking.NetworkPolicy, {"spec": {"podSelector": {}}}),
        (scheduling.PriorityClass, {"value": 5}),
        (v1.ResourceQuota, {"spec": {"hard": {"pods": "5"}}}),
    ],
)
async def test_every_kind_is_released_and_followed(house: Any, kind: type[Any], body: Any, policy: str) -> None:
    house.start(GarbageCollector)
    row = for_type(kind)
    made = await house.create({"apiVersion": row.api_version, "kind": row.kind, "metadata": {"name": "own"}, **body})
    await house.create(config_map("owned", owner(made, blockOwnerDeletion=True)))
    await house.until(v1.ConfigMap, lambda found: "owned" in names(found))
    await house.api.of(kind).delete("own", made.metadata.namespace, propagation=policy)
    await house.until(kind, lambda found: all(each.metadata.uid != made.metadata.uid for each in found))
    if policy == "Orphan":
        left = await house.api.of(v1.ConfigMap).get("owned", "default")
        assert left.metadata.owner_references == ()
    else:
        await house.until(v1.ConfigMap, lambda found: "owned" not in names(found))


async def test_dependents_of_every_kind_go_with_their_owner(house: Any) -> None:
    house.start(GarbageCollector)
    made = await house.create(config_map("first"))
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}}
    await house.create({**policy, "metadata": {"name": "second", "ownerReferences": [owner(made)]}})
    await house.api.of(v1.ConfigMap).delete("first", "default")
    await house.until(networking.NetworkPolicy, lambda found: not found)


async def test_a_reference_from_elsewhere_harms_nobody_but_itself(house: Any) -> None:
    collector = GarbageCollector(house.tools())
    await house.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
    parent = await house.create(config_map("parent"))
    await house.create(config_map("child", owner(parent)))
    foreign = config_map("foreign", owner(parent))
    foreign["metadata"]["namespace"] = "elsewhere"
    await house.create(foreign)
    misnamed = config_map("misnamed", owner(parent, name="no-such"))
    await house.create(misnamed)
    for namespace, name in (("elsewhere", "foreign"), ("default", "misnamed"), ("default", "child")):
        await house.settled(Key(namespace, f"configmaps/{name}"), collector, v1.ConfigMap)
    left = await house.api.of(v1.ConfigMap).list()
    assert {"parent", "child"} <= {each.metadata.name for each in left.items}
    assert not {"foreign", "misnamed"} & {each.metadata.name for each in left.items}


async def test_a_reference_to_an_owner_in_another_namespace_is_told_of(house: Any) -> None:
    tools = house.tools(SystemClock())
    told = house.tasks.create_task(tools.recorder.run())
    house.running.append(told)
    collector = GarbageCollector(tools)
    account = await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "owner"}})
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    await house.create(role | {"metadata": {"name": "owned", "ownerReferences": [owner(account)]}})
    await house.settled(
        Key("", "clusterroles.rbac.authorization.k8s.io/owned"), collector, rbac.ClusterRole, v1.ServiceAccount
    )
    [event] = await house.until(
        v1.Event, lambda found: [each for each in found if each.involved_object.name == "owned"]
    )
    identity = f"[v1/ServiceAccount, namespace: , name: owner, uid: {account.metadata.uid}]"
    assert (event.type, event.reason) == ("Warning", "OwnerRefInvalidNamespace")
    assert event.message == f'ownerRef {identity} does not exist in namespace ""'
    assert await house.api.of(rbac.ClusterRole).get("owned")
