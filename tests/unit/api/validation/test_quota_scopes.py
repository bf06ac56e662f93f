"""Scopes of quotas that mean nothing, or nothing for what the quota limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Judge = Callable[..., list[tuple[str, str]]]
AT = "spec.scopeSelector.matchExpressions"


def quota(hard: str, *scopes: str, **term: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"hard": {hard: "1"}, "scopes": list(scopes)}
    if term:
        spec["scopeSelector"] = {"matchExpressions": [term]}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec}


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (quota("pods", "BestEffort"), []),
        (quota("count/jobs.batch", "BestEffort"), []),
        (quota("pods", scopeName="PriorityClass", operator="In", values=["high"]), []),
        (quota("requests.storage", scopeName="VolumeAttributesClass", operator="Exists"), []),
        (quota("count/jobs.batch", "Best"), [("spec.scopes", 'Invalid value: ["Best"]: unsupported scope')]),
        (
            quota("cpu", "BestEffort"),
            [("spec.scopes", 'Invalid value: ["BestEffort"]: unsupported scope applied to resource')],
        ),
        (
            quota("pods", "Terminating", "NotTerminating"),
            [("spec.scopes", 'Invalid value: ["Terminating","NotTerminating"]: conflicting scopes')],
        ),
        (
            quota("pods", scopeName="PriorityClass", operator="In"),
            [
                (
                    f"{AT}.values",
                    "Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                )
            ],
        ),
        (
            quota("pods", scopeName="PriorityClass", operator="Exists", values=["a"]),
            [
                (
                    f"{AT}.values",
                    "Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope "
                    "selector",
                )
            ],
        ),
        (
            quota("pods", scopeName="PriorityClass", operator="Near"),
            [(f"{AT}.operator", 'Invalid value: "Near": not a valid selector operator')],
        ),
    ],
)
def test_scopes(on_create: Judge, tree: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert on_create(tree) == told


def test_plain_scopes_exist_or_not(on_create: Judge) -> None:
    [(field, message)] = on_create(quota("pods", scopeName="Terminating", operator="DoesNotExist"))
    assert field == f"{AT}.operator"
    assert message.startswith("Invalid value: \"DoesNotExist\": must be 'Exist' when scope is any of")
