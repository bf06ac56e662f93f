"""Which pods a replica set takes, lets go and removes first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podkeeper.api import timestamps
from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.selectors import labels
from podkeeper.controllers.ownership import decide_claim, reference_to
from podkeeper.controllers.pod_ranks import DELETION_COST, available_in, removal_order
from podkeeper.controllers.replica_set import ReplicaSets

OWNER = apps.ReplicaSet(
    api_version="apps/v1", kind="ReplicaSet", metadata=meta.ObjectMeta(name="web", uid="1", namespace="default")
)
SELECTOR = labels.parse("app=web")
NOW = 1_800_000_000.0


def pod(name: str, app: str = "web", **metadata: Any) -> v1.Pod:
    return v1.Pod(metadata=meta.ObjectMeta(name=name, uid=name, labels={"app": app}, **metadata))


def test_a_claim_takes_orphans_that_match_and_lets_go_what_no_longer_does() -> None:
    mine, other = (reference_to(OWNER),), (msgspec.structs.replace(reference_to(OWNER), uid="2"),)
    candidates = [
        pod("kept", owner_references=mine),
        pod("left", app="db", owner_references=mine),
        pod("orphan"),
        pod("stranger", app="db"),
        pod("dying", deletion_timestamp="2026-01-01T00:00:00Z"),
        pod("anothers", owner_references=other),
    ]
    claim = decide_claim(OWNER, SELECTOR, candidates)
    assert [[each.metadata.name for each in part] for part in (claim.owned, claim.adopt, claim.release)] == [
        ["kept"],
        ["orphan"],
        ["left"],
    ]


def test_an_owner_on_its_way_out_takes_and_releases_nothing() -> None:
    going = msgspec.structs.replace(OWNER.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    owner = msgspec.structs.replace(OWNER, metadata=going)
    left = pod("left", app="db", owner_references=(reference_to(OWNER),))
    claim = decide_claim(owner, SELECTOR, [pod("orphan"), left])
    assert (claim.adopt, claim.release) == ((), ())


def running(
    name: str,
    *,
    node: str = "n",
    phase: str = "Running",
    since: str = "",
    restarts: int = 0,
    age: int = 1,
    cost: str = "",
) -> v1.Pod:
    ready = v1.PodCondition(type="Ready", status="True" if since else "False", last_transition_time=since)
    status = v1.ContainerStatus(restart_count=restarts)
    return v1.Pod(
        metadata=meta.ObjectMeta(
            name=name,
            uid=name,
            creation_timestamp=timestamps.format_time(NOW - age),
            annotations={DELETION_COST: cost} if cost else {},
        ),
        spec=v1.PodSpec(node_name=node),
        status=v1.PodStatus(phase=phase, conditions=(ready,), container_statuses=(status,)),
    )


LONG, SHORT = timestamps.format_time(NOW - 5000), timestamps.format_time(NOW - 10)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (running("placed nowhere", node="", since=LONG), running("placed")),
        (running("pending", phase="Pending", since=LONG), running("unknown", phase="Unknown")),
        (running("unknown", phase="Unknown", since=LONG), running("running")),
        (running("not ready", cost="9"), running("ready", since=SHORT)),
        (running("cheap", since=LONG, cost="-1"), running("dear", since=SHORT)),
        (running("in a crowd", node="full", since=LONG), running("alone", since=SHORT)),
        (running("ready for short", since=SHORT), running("ready for long", since=LONG, restarts=3)),
        (running("often restarted", since=LONG, restarts=3, age=9), running("steady", since=LONG)),
        (running("young", since=LONG, age=1), running("old", since=LONG, age=9)),
    ],
)
def test_the_worst_goes_first(first: v1.Pod, second: v1.Pod) -> None:
    crowding = {"full": 5, "n": 1}
    for order in ([first, second], [second, first]):
        assert removal_order(order, crowding, NOW) == [first, second]


def test_pods_of_about_one_age_go_in_the_order_of_their_names_in_the_store() -> None:
    younger, older = running("b", since=LONG, age=100), running("a", since=LONG, age=120)
    assert [each.metadata.name for each in removal_order([younger, older], {}, NOW)] == ["a", "b"]
    older = running("a", since=LONG, age=1000)
    assert [each.metadata.name for each in removal_order([older, younger], {}, NOW)] == ["b", "a"]


def test_a_cost_that_is_no_number_is_none() -> None:
    assert removal_order([running("a", cost="much", age=1), running("b", age=2)], {}, NOW)[0].metadata.name == "a"


def test_a_pod_is_available_when_it_has_been_ready_for_long_enough() -> None:
    ready = running("a", since="1970-01-01T00:01:40Z")
    assert available_in(ready, 30, now=110.0) == 20
    assert available_in(ready, 30, now=130.0) <= 0
    assert available_in(ready, 0, now=100.0) == 0


async def test_a_pod_is_released_and_replaced_when_its_label_changes(house: Any) -> None:
    house.start(ReplicaSets)
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    await house.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": spec})
    [first] = await house.until(v1.Pod, lambda pods: len(pods) == 1)
    change = {"metadata": {"labels": {"app": "taken-out"}}}
    await house.api.of(v1.Pod).patch(first.metadata.name, change, "default")
    pods = await house.until(
        v1.Pod, lambda pods: len(pods) == 2 and sum(bool(one.metadata.owner_references) for one in pods) == 1
    )
    [released] = [each for each in pods if not each.metadata.owner_references]
    assert released.metadata.name == first.metadata.name
    await house.api.of(v1.Pod).patch(first.metadata.name, {"metadata": {"labels": {"app": "web"}}}, "default")
    # Taken back, it is one too many: one of the two goes.
    await house.until(v1.Pod, lambda pods: len(pods) == 1)
