"""The condition of pods that were to be disrupted and were not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.framework import Key
from podkeeper.controllers.stale_disruption import StaleDisruptions, stale_in


def pod(status: str = "True", *, going: str = "", phase: str = "Running") -> v1.Pod:
    condition = v1.PodCondition(type="DisruptionTarget", status=status, last_transition_time="1970-01-01T00:01:00Z")
    return v1.Pod(
        metadata=meta.ObjectMeta(name="a", deletion_timestamp=going),
        status=v1.PodStatus(phase=phase, conditions=(condition,)),
    )


@pytest.mark.parametrize(
    ("shown", "left"),
    [
        (pod(), 80),
        (pod("False"), None),
        (pod(going="1970-01-01T00:01:00Z"), None),
        (pod(phase="Failed"), None),
        (v1.Pod(), None),
    ],
)
def test_when_a_condition_is_stale(shown: v1.Pod, left: float | None) -> None:
    assert stale_in(shown, now=100) == left


async def test_a_pod_that_was_not_disrupted_says_so(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
    made = await house.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
    then = timestamps.format_time(house.clock.time())
    condition = v1.PodCondition(type="DisruptionTarget", status="True", last_transition_time=then)
    status = msgspec.structs.replace(made.status, conditions=(condition,))
    await house.api.of(v1.Pod).update(msgspec.structs.replace(made, status=status), subresource="status")
    controller = StaleDisruptions(house.tools())
    assert await house.settled(Key("default", "a"), controller, v1.Pod) == pytest.approx(120, abs=1)
    await house.clock.advance(121)
    assert await controller.reconcile(Key("default", "a")) is None
    found = (await house.api.of(v1.Pod).get("a", "default")).status.conditions
    assert [(each.type, each.status) for each in found if each.type == "DisruptionTarget"] == [
        ("DisruptionTarget", "False")
    ]
