"""Demands that cannot be judged are refused by name; preferences are not."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.scheduler.pod_facts import PodFacts, pod_facts
from podkeeper.scheduler.refusals import refusal

TERM = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "labelSelector": {}}


def pod(**spec: Any) -> PodFacts:
    tree = {"metadata": {"name": "a", "namespace": "default", "uid": "a"}, "spec": {"containers": [], **spec}}
    return pod_facts(codec.from_tree(v1.Pod, tree))


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        (
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}},
            "required pod affinity",
        ),
        (
            {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}},
            "required pod anti-affinity",
        ),
        (
            {"topologySpreadConstraints": [{**SPREAD, "whenUnsatisfiable": "DoNotSchedule"}]},
            "topology spread constraints with DoNotSchedule",
        ),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}, "persistent volume claims"),
        ({"resourceClaims": [{"name": "gpu"}]}, "resource claims"),
    ],
)
def test_a_demand_is_refused_by_name(spec: dict[str, Any], asked: str) -> None:
    assert refusal(pod(**spec)) == f"pod asks for what this scheduler does not support: {asked}"


def test_preferences_and_ordinary_pods_are_not_refused() -> None:
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": TERM}]}
    soft = [{**SPREAD, "whenUnsatisfiable": "ScheduleAnyway"}]
    assert not refusal(pod())
    assert not refusal(pod(affinity={"podAntiAffinity": preferred}, topologySpreadConstraints=soft))
