"""Owners that a client names twice, and AppArmor annotations that become fields: both with a word to the client."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.registry import owner_references
from podkeeper.registry.strategies.core import pod_apparmor

Tree = dict[str, Any]


def owner(uid: str, **more: Any) -> Tree:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": uid} | more


def test_one_of_two_goes() -> None:
    warnings: list[str] = []
    metadata = {"ownerReferences": [owner("1"), owner("2"), owner("1"), owner("1", controller=True)]}
    owner_references.keep_each_once(metadata, warnings, owner_references.IN_REQUEST)
    assert metadata["ownerReferences"] == [owner("1"), owner("2"), owner("1", controller=True)]
    assert warnings == [
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
        "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: [1]"
    ]


@pytest.mark.parametrize("given", [None, "x", [], [owner("1")], [owner("1"), owner("2")], ["a", "a"]])
def test_nothing_to_say(given: Any) -> None:
    warnings: list[str] = []
    owner_references.keep_each_once({"ownerReferences": given}, warnings, "")
    assert warnings == []


KEY = "container.apparmor.security.beta.kubernetes.io/c"
TOLD = f'metadata.annotations[{KEY}]: deprecated since v1.30; use the "appArmorProfile" field instead'


@pytest.mark.parametrize(
    ("annotation", "whole", "profile", "told"),
    [
        ("runtime/default", None, {"type": "RuntimeDefault"}, True),
        ("localhost/mine", None, {"type": "Localhost", "localhostProfile": "mine"}, True),
        ("nonsense", None, None, True),
        ("unconfined", {"type": "Unconfined"}, None, False),
    ],
)
def test_profiles_are_taken_over(annotation: str, whole: Tree | None, profile: Tree | None, told: bool) -> None:
    spec: Tree = {"containers": [{"name": "c"}, {"name": "other"}]}
    if whole is not None:
        spec["securityContext"] = {"appArmorProfile": whole}
    warnings: list[str] = []
    pod_apparmor.take_over({"metadata": {"annotations": {KEY: annotation}}, "spec": spec}, warnings)
    assert (spec["containers"][0].get("securityContext") or {}).get("appArmorProfile") == profile
    assert warnings == ([TOLD] if told else [])
    assert spec["containers"][1] == {"name": "other"}
