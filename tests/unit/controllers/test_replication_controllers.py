"""ReplicationControllers keep their pods as ReplicaSets do."""

from __future__ import annotations

from typing import Any

from podkeeper.api.core import v1
from podkeeper.controllers.replica_set import ReplicaSets
from podkeeper.controllers.replication_controller import ReplicationControllers


async def test_a_replication_controller_has_its_pods_and_tells_of_them(house: Any) -> None:
    house.start(ReplicaSets)
    house.start(ReplicationControllers)
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}}
    spec = {"replicas": 3, "selector": {"app": "web"}, "template": template}
    made = await house.create(
        {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "web"}, "spec": spec}
    )
    pods = await house.until(v1.Pod, lambda found: len(found) == 3)
    assert {each.metadata.owner_references[0].uid for each in pods} == {made.metadata.uid}
    await house.until(v1.ReplicationController, lambda found: found[0].status.replicas == 3)
    await house.api.of(v1.ReplicationController).patch("web", {"spec": {"replicas": 1}}, "default")
    await house.until(v1.Pod, lambda found: len(found) == 1)
