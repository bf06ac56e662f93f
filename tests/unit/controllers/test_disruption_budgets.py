"""What disruption budgets allow, and that evictions get through by it."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.policy import v1 as policy
from podkeeper.controllers import budgets
from podkeeper.controllers.budgets import Expected, expected
from podkeeper.controllers.disruption import AGAIN_SECONDS, DisruptionBudgets
from podkeeper.controllers.framework import Key


def budget(**spec: Any) -> policy.PodDisruptionBudget:
    return policy.PodDisruptionBudget(
        metadata=meta.ObjectMeta(name="b", generation=3), spec=policy.PodDisruptionBudgetSpec(**spec)
    )


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"min_available": 2}, Expected(4, 2)),
        ({"min_available": "50%"}, Expected(5, 3)),
        ({"max_unavailable": 1}, Expected(5, 4)),
        ({"max_unavailable": "30%"}, Expected(5, 3)),
        ({"max_unavailable": 9}, Expected(5, 0)),
        ({"min_available": "0%"}, Expected(5, 0)),
    ],
)
def test_what_is_expected(spec: dict[str, Any], wanted: Expected) -> None:
    assert expected(budget(**spec), pods=4, scale=5) == wanted


def pod(name: str, *, ready: bool = True, going: bool = False) -> v1.Pod:
    condition = v1.PodCondition(type="Ready", status=str(ready))
    return v1.Pod(
        metadata=meta.ObjectMeta(name=name, deletion_timestamp="2026-01-01T00:00:00Z" if going else ""),
        status=v1.PodStatus(phase="Running", conditions=(condition,)),
    )


def test_healthy_are_ready_pods_that_neither_go_nor_were_evicted() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready=False), pod("d", going=True), pod("e")]
    status = budgets.status(budget(), pods, Expected(5, 1), {"e": "2026-01-01T00:00:00Z"}, now=0)
    assert (status.current_healthy, status.disruptions_allowed, status.observed_generation) == (2, 1, 3)
    assert [(each.status, each.reason) for each in status.conditions] == [("True", "SufficientPods")]


def test_nothing_is_allowed_where_no_pod_is_expected() -> None:
    status = budgets.status(budget(), [pod("a")], Expected(0, 0), {}, now=0)
    assert status.disruptions_allowed == 0
    assert status.conditions[0].reason == "InsufficientPods"


def test_an_evicted_pod_that_stays_counts_again_after_two_minutes() -> None:
    noted = policy.PodDisruptionBudget(
        status=policy.PodDisruptionBudgetStatus(disrupted_pods={"a": "1970-01-01T00:01:00Z", "gone": "x"})
    )
    early = budgets.disrupted(noted, [pod("a")], now=100)
    assert (dict(early.waiting), early.overdue, early.recheck) == ({"a": "1970-01-01T00:01:00Z"}, (), 80)
    late = budgets.disrupted(noted, [pod("a")], now=180)
    assert (dict(late.waiting), [each.metadata.name for each in late.overdue], late.recheck) == ({}, ["a"], None)


async def test_an_eviction_takes_what_the_budget_allows_and_no_more(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    house.start(DisruptionBudgets)
    for name in ("a", "b"):
        spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
        metadata = {"name": name, "labels": {"app": "web"}}
        await house.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        await house.report(name)
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await house.create(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec}
    )
    [found] = await house.until(
        policy.PodDisruptionBudget, lambda all_: all_ and all_[0].status.disruptions_allowed == 1
    )
    assert (found.status.expected_pods, found.status.current_healthy, found.status.desired_healthy) == (2, 2, 1)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": "default"}}

    async def evict(name: str) -> None:
        body = eviction | {"metadata": {"name": name, "namespace": "default"}}
        await house.api.of(v1.Pod).connect_create(name, "eviction", body, "default")

    await evict("a")
    [after] = await house.until(policy.PodDisruptionBudget, lambda all_: all_[0].status.current_healthy == 1)
    assert after.status.disruptions_allowed == 0
    with pytest.raises(ApiError) as refused:
        await evict("b")
    assert refused.value.code == 429


async def test_a_share_is_of_what_the_owners_want(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    house.start(DisruptionBudgets)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template, "serviceName": "web"}
    made = [
        await house.create({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec | more})
        for kind, more in (("ReplicaSet", {"serviceName": None}), ("StatefulSet", {"replicas": 3}))
    ]
    for owner in made:
        reference = {
            "apiVersion": "apps/v1",
            "kind": owner.kind,
            "name": "web",
            "uid": owner.metadata.uid,
            "controller": True,
        }
        metadata = {"name": owner.kind.lower(), "labels": {"app": "web"}, "ownerReferences": [reference]}
        await house.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    rules = {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "web"}}}
    await house.create(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": rules}
    )
    [found] = await house.until(policy.PodDisruptionBudget, lambda all_: all_ and all_[0].status.conditions)
    assert (found.status.expected_pods, found.status.desired_healthy) == (7, 3)


async def test_a_budget_that_cannot_be_counted_allows_nothing_and_is_tried_again(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "1", "controller": True}
    metadata = {"name": "a", "labels": {"app": "web"}, "ownerReferences": [reference]}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await house.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    rules = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await house.create(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": rules}
    )
    controller = DisruptionBudgets(house.tools())
    again = await house.settled(Key("default", "b"), controller, v1.Pod, policy.PodDisruptionBudget)
    assert again == AGAIN_SECONDS
    status = (await house.api.of(policy.PodDisruptionBudget).get("b", "default")).status
    [condition] = status.conditions
    assert (status.disruptions_allowed, condition.status, condition.reason) == (0, "False", "SyncFailed")
    assert condition.message == "jobs.batch does not implement the scale subresource"
