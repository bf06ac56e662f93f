"""Typed objects as JSON: nothing lost, Go's zero values, exact numbers, and errors that name the field."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from podkeeper.api import codec
from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.quantity import Quantity
from podkeeper.api.resources import RESOURCES, for_kind


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [], **spec}}


def test_every_published_object_survives_decoding_and_encoding(facts: Path) -> None:
    """Golden objects have every field filled; a field that the struct lacks would vanish here."""
    seen = 0
    for row in RESOURCES:
        file = facts / "golden" / f"{row.group or 'core'}.{row.version}.{row.kind}.json"
        if row.type_name and file.exists():
            tree = _without_nulls(json.loads(file.read_text()))
            kind = codec.struct_class(row)
            again = json.loads(codec.encode(codec.from_tree(kind, tree)))
            for claim in again["spec"].get("volumeClaimTemplates", ()) if row.kind == "StatefulSet" else ():
                del claim["apiVersion"], claim["kind"]  # a server always names them, a filled-in object need not
            tree.get("status", {}).pop("disruptedPods", None)  # its one value is null
            assert again == tree, file.name
            seen += 1
    assert seen > 60


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def test_fields_that_upstream_always_prints_are_printed() -> None:
    status = v1.ContainerStatus(name="c")
    assert json.loads(msgspec.json.encode(status)) == {
        "name": "c",
        "ready": False,
        "restartCount": 0,
        "image": "",
        "imageID": "",
        "state": {},
        "lastState": {},
    }


def test_absent_fields_stay_absent() -> None:
    tree = codec.to_tree(codec.from_tree(v1.Pod, pod()))
    assert "nodeName" not in tree["spec"]
    assert "hostNetwork" not in tree["spec"]


def test_null_is_the_same_as_absent() -> None:
    typed = codec.from_tree(v1.Pod, {**pod(nodeName=None), "metadata": {"name": "a", "creationTimestamp": None}})
    assert typed.spec.node_name == ""
    assert typed.metadata.creation_timestamp == ""


def test_quantities_become_canonical() -> None:
    container = {"name": "c", "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}}}
    typed = codec.from_tree(v1.Pod, pod(containers=[container]))
    assert typed.spec.containers[0].resources.requests == {"cpu": Quantity("500m"), "memory": Quantity("1Gi")}
    written = codec.to_tree(typed)["spec"]["containers"][0]["resources"]["requests"]
    assert written == {"cpu": "500m", "memory": "1Gi"}


def test_a_wrong_type_is_named_by_its_path() -> None:
    with pytest.raises(ValueError, match=r"spec\.containers\[0\]\.name"):
        codec.from_tree(v1.Pod, pod(containers=[{"name": 7}]))


def test_a_number_that_does_not_fit_is_refused() -> None:
    tree = {"metadata": {"name": "d"}, "spec": {"replicas": 1 << 40, "selector": {}, "template": {}}}
    with pytest.raises(ValueError, match="replicas"):
        codec.from_tree(apps.Deployment, tree)


def test_unknown_fields_are_found_with_their_paths() -> None:
    tree = pod(containers=[{"name": "c", "imagee": "x"}], containerz=[])
    assert sorted(codec.unknown_fields(v1.Pod, tree)) == ["spec.containers[0].imagee", "spec.containerz"]


def test_objects_begin_with_version_kind_and_metadata() -> None:
    assert codec.encode(v1.ConfigMap()).startswith(b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{')


def test_the_catalogue_has_what_discovery_lists(facts: Path) -> None:
    aggregated = json.loads((facts / "discovery-aggregated-v2.json").read_text())
    for group in aggregated["items"]:
        for version in group["versions"]:
            for listed in version["resources"]:
                found = for_kind(group["metadata"]["name"], version["version"], listed["responseKind"]["kind"])
                assert found is not None, listed["resource"]
                assert found.name == listed["resource"]
                assert set(found.verbs) == set(listed["verbs"])
                assert set(found.short_names) == set(listed.get("shortNames", ()))
                assert {each["subresource"] for each in listed.get("subresources", ())} <= set(found.subresources)


def test_using_one_type_loads_its_module_and_not_the_whole_group() -> None:
    code = (
        "import sys; from podkeeper.api.core import v1; v1.ConfigMap; "
        "print('podkeeper.api.core.v1.configmap' in sys.modules, 'podkeeper.api.core.v1.node' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
