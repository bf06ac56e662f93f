"""The catalogue: rows are found by path, class and kind, and say what upstream's discovery says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podkeeper.api import codec, resources
from podkeeper.api.apps import v1 as apps
from podkeeper.api.catalogue import Resource
from podkeeper.api.core import v1
from podkeeper.api.custom import CustomObject
from podkeeper.api.resources import RESOURCES


def test_a_row_is_found_by_path_by_class_and_by_kind() -> None:
    row = resources.lookup("apps", "v1", "deployments")
    assert row is not None
    assert row is resources.for_type(apps.Deployment)
    assert row is resources.for_kind("apps", "v1", "Deployment")
    assert codec.struct_class(row) is apps.Deployment


def test_what_is_no_resource_is_not_found() -> None:
    assert resources.lookup("apps", "v1", "widgets") is None
    assert resources.for_kind("autoscaling", "v1", "Scale") is None, "only subresources speak it"
    with pytest.raises(LookupError):
        resources.for_type(v1.PodSpec)


def test_objects_of_custom_resources_share_one_class_and_are_trees_beside_their_metadata() -> None:
    row = Resource("example.com", "v1", "widgets", "Widget", "widget", True, ("get",))
    cls = codec.struct_class(row)
    assert cls is CustomObject
    tree = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"a": [1, None]}}
    widget = codec.from_tree(CustomObject, tree)
    assert (widget.metadata.name, widget.content) == ("w", {"spec": {"a": [1, None]}})
    assert codec.encode(widget).startswith(b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{')
    assert codec.to_tree(codec.decode(CustomObject, codec.encode(widget))) == tree
    with pytest.raises(codec.WrongType, match=r"metadata\.name"):
        codec.from_tree(CustomObject, tree | {"metadata": {"name": 1}})


def test_stable_versions_are_on_and_others_off() -> None:
    off = {row.version for row in RESOURCES if not row.enabled}
    on = {row.version for row in RESOURCES if row.enabled}
    assert on == {"v1", "v2"}
    assert off
    assert all("alpha" in version or "beta" in version for version in off)


def test_subresources_name_the_kind_they_speak() -> None:
    pods = resources.for_type(v1.Pod)
    assert pods.subresources["eviction"].group == "policy"
    assert pods.subresources["status"].kind == "Pod"
    scale = resources.for_type(apps.Deployment).subresources["scale"]
    assert (scale.group, scale.version, scale.kind) == ("autoscaling", "v1", "Scale")


def test_core_rows_are_those_of_the_published_discovery(facts: Path) -> None:
    listed = json.loads((facts / "discovery-core-v1.json").read_text())["resources"]
    assert [each["name"] for each in listed if "/" not in each["name"]] == [
        row.name for row in RESOURCES if not row.group
    ]
    for each in listed:
        name, _, subresource = each["name"].partition("/")
        row = resources.lookup("", "v1", name)
        assert row is not None
        if subresource:
            found = row.subresources[subresource]
            assert (found.kind, list(found.verbs)) == (each["kind"], each["verbs"]), each["name"]
            assert (found.group, found.version) == (each.get("group", ""), each.get("version", "v1")), each["name"]
        else:
            assert _described(row) == _published(each)


def _described(row: Resource) -> tuple[Any, ...]:
    return row.kind, row.singular, row.namespaced, list(row.verbs), list(row.short_names), list(row.categories)


def _published(raw: dict[str, Any]) -> tuple[Any, ...]:
    lists = raw["verbs"], raw.get("shortNames", []), raw.get("categories", [])
    return raw["kind"], raw["singularName"], raw["namespaced"], *lists


def test_reading_the_catalogue_loads_no_types() -> None:
    code = (
        "import sys; import podkeeper.api.resources; "
        "print([name for name in sys.modules if name.startswith('podkeeper.api.core')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
