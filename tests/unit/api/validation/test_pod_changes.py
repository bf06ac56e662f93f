"""Pods that are changed while they wait at a gate, and annotations that the server reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Judge = Callable[..., list[tuple[str, str]]]
TERMS = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def term(*keys: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": "Exists"} for key in keys]}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


GATED = pod(schedulingGates=[{"name": "g"}], nodeSelector={"a": "b"}, affinity=affinity(term("a")))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.nodeSelector", {"a": "b", "c": "d"}),
        ("spec.affinity", affinity(term("a", "b"))),
        ("spec.schedulingGates", None),
        ("spec.tolerations", [{"key": "k", "operator": "Exists"}]),
        ("spec.activeDeadlineSeconds", 5),
        ("spec.containers.0.image", "j"),
    ],
)
def test_what_a_gated_pod_may_change(on_update: Judge, path: str, value: object) -> None:
    assert on_update(GATED, path, value) == []


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        (
            "spec.nodeSelector",
            {"a": "c"},
            "spec.nodeSelector",
            'Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)',
        ),
        (
            "spec.affinity",
            affinity(term("b")),
            f"spec.{TERMS}[0]",
            'Invalid value: {"matchExpressions":[{"key":"b","operator":"Exists"}]}: only additions are allowed '
            "(no mutations or deletions)",
        ),
        (
            "spec.affinity",
            None,
            f"spec.{TERMS}",
            "Invalid value: []: no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        ),
        (
            "spec.schedulingGates",
            [{"name": "h"}],
            "spec.schedulingGates[0].name",
            "Forbidden: only deletion is allowed, but found new scheduling gate 'h'",
        ),
    ],
)
def test_what_a_gated_pod_may_not_change(on_update: Judge, path: str, value: object, field: str, message: str) -> None:
    assert on_update(GATED, path, value) == [(field, message)]


def test_a_pod_without_gates_stays_where_it_may_run(on_update: Judge) -> None:
    [(field, message)] = on_update(pod(), "spec.nodeSelector", {"a": "b"})
    assert (field, message.startswith("Forbidden: pod updates may not change fields other than")) == ("spec", True)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "kubernetes.io/config.mirror",
            "x",
            'Invalid value: "x": must set spec.nodeName if mirror pod annotation is set',
        ),
        ("controller.kubernetes.io/pod-deletion-cost", "+1", 'Invalid value: "+1": must be a 32bit integer'),
        (
            "controller.kubernetes.io/pod-deletion-cost",
            "2147483648",
            'Invalid value: "2147483648": must be a 32bit integer',
        ),
    ],
)
def test_annotations_that_the_server_reads(on_create: Judge, key: str, value: str, message: str) -> None:
    assert on_create(pod(), "metadata.annotations", {key: value}) == [(f"metadata.annotations[{key}]", message)]
    assert on_create(pod(), "metadata.annotations", {"controller.kubernetes.io/pod-deletion-cost": "-7"}) == []


def test_a_pod_does_not_become_a_mirror(on_update: Judge) -> None:
    mirror = "kubernetes.io/config.mirror"
    placed = pod(nodeName="n")
    assert on_update(placed, "metadata.annotations", {mirror: "x"}) == [
        (f"metadata.annotations[{mirror}]", "Forbidden: may not add mirror pod annotation")
    ]
    shown = placed | {"metadata": {"name": "p", "annotations": {mirror: "x"}}}
    assert on_update(shown, "metadata.annotations", {}) == [
        (f"metadata.annotations[{mirror}]", "Forbidden: may not remove or update mirror pod annotation")
    ]


def test_a_resize_takes_no_limit_away(on_update: Judge) -> None:
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    sized = pod(containers=[{"name": "c", "image": "i", "resources": resources}])
    assert on_update(sized, "spec.containers.0.resources.limits.cpu", "3", "resize") == []
    assert on_update(sized, "spec.containers.0.resources.limits", {}, "resize") == [
        ("spec.containers[0].resources.limits", "Forbidden: resource limits cannot be removed")
    ]
