"""Custom resources in the OpenAPI documents, as their definitions say and as clients of each version can take it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podkeeper.api import openapi
from podkeeper.api.openapi import gnostic
from podkeeper.api.structural import define

Tree = dict[str, Any]

SPEC: Tree = {
    "type": "object",
    "description": "What is wanted.",
    "required": ["cron", "note"],
    "properties": {
        "cron": {"type": "string", "pattern": "^x", "maxLength": 9},
        "note": {"type": "string", "nullable": True},
        "port": {"x-kubernetes-int-or-string": True},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": {"type": "string"}},
        },
        "inner": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
        "ways": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}},
        },
        "level": {"type": "integer", "minimum": 1, "enum": [1, 2], "oneOf": [{"minimum": 2}, {"maximum": 1}]},
    },
}


def crontabs(schema: Tree | None = None) -> Tree:
    names = {"plural": "crontabs", "kind": "CronTab", "listKind": "CronTabs"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema or {"type": "object", "properties": {"spec": SPEC}}},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.a", "statusReplicasPath": ".status.a"}},
        "selectableFields": [{"jsonPath": ".spec.cron"}],
    }
    spec = {"group": "stable.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": "crontabs.stable.example.com"}, "spec": spec}


def documents(tree: Tree) -> tuple[Tree, Tree]:
    """Version 2 and version 3."""
    definition = define(tree)
    rows = [definition.resource(definition.stored)]
    third = openapi.v3_document(openapi.v3_documents(rows)["apis/stable.example.com/v1"], "v1.36.0", rows)
    return openapi.v2_document(rows, "v1.36.0"), third


@pytest.fixture(scope="module")
def both() -> tuple[Tree, Tree]:
    return documents(crontabs())


def test_the_definitions_are_named_by_the_reversed_group(both: tuple[Tree, Tree]) -> None:
    for found in (both[0]["definitions"], both[1]["components"]["schemas"]):
        own, listed = found["com.example.stable.v1.CronTab"], found["com.example.stable.v1.CronTabs"]
        row = {"group": "stable.example.com", "version": "v1"}
        assert own["x-kubernetes-group-version-kind"] == [row | {"kind": "CronTab"}]
        assert listed["x-kubernetes-group-version-kind"] == [row | {"kind": "CronTabs"}]
        assert own["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.cron"}]
        assert own["properties"].keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert found["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]


def test_metadata_is_everybodys(both: tuple[Tree, Tree]) -> None:
    second = both[0]["definitions"]["com.example.stable.v1.CronTab"]["properties"]["metadata"]
    assert second["$ref"] == "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    third = both[1]["components"]["schemas"]["com.example.stable.v1.CronTab"]["properties"]["metadata"]
    assert third["allOf"] == [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]


def test_version_3_tells_all_and_version_2_what_it_can(both: tuple[Tree, Tree]) -> None:
    third = both[1]["components"]["schemas"]["com.example.stable.v1.CronTab"]["properties"]["spec"]
    assert third["required"] == ["cron", "note"]
    assert third["properties"]["note"] == {"type": "string", "nullable": True}
    assert third["properties"]["port"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert third["properties"]["free"]["properties"] == {"a": {"type": "string"}}
    assert third["properties"]["inner"]["required"] == ["apiVersion", "kind"]
    assert "allOf" in third["properties"]["inner"]["properties"]["metadata"]
    second = both[0]["definitions"]["com.example.stable.v1.CronTab"]["properties"]["spec"]
    assert (second["required"], second["description"]) == (["cron"], "What is wanted.")
    assert second["properties"]["note"] == {}
    assert second["properties"]["port"] == {"x-kubernetes-int-or-string": True}
    assert second["properties"]["free"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    assert second["properties"]["level"] == {"type": "integer", "minimum": 1, "enum": [1, 2]}
    assert second["properties"]["ways"]["x-kubernetes-list-map-keys"] == ["name"]


def test_the_definition_itself_is_left_alone() -> None:
    tree = crontabs()
    before = copy.deepcopy(tree)
    documents(tree)
    assert tree == before


def test_a_root_that_keeps_everything_says_nothing_in_version_2() -> None:
    second, third = documents(crontabs({"type": "object", "x-kubernetes-preserve-unknown-fields": True}))
    assert second["definitions"]["com.example.stable.v1.CronTab"].keys() == {
        "type",
        "x-kubernetes-group-version-kind",
        "x-kubernetes-selectable-fields",
    }
    assert "metadata" in third["components"]["schemas"]["com.example.stable.v1.CronTab"]["properties"]


def test_the_paths_have_their_operations(both: tuple[Tree, Tree]) -> None:
    base = "/apis/stable.example.com/v1/namespaces/{namespace}/crontabs"
    paths = {path: entry.keys() - {"parameters"} for path, entry in both[1]["paths"].items()}
    assert paths == {
        "/apis/stable.example.com/v1/crontabs": {"get"},
        base: {"get", "post", "delete"},
        f"{base}/{{name}}": {"get", "put", "patch", "delete"},
        f"{base}/{{name}}/status": {"get", "put", "patch"},
        f"{base}/{{name}}/scale": {"get", "put", "patch"},
    }
    patch = both[0]["paths"][f"{base}/{{name}}/scale"]["patch"]
    assert patch["operationId"] == "patchStableExampleComV1NamespacedCronTabScale"
    assert patch["consumes"] == [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/apply-patch+yaml",
    ]
    assert patch["produces"] == ["application/json", "application/yaml"]
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "CronTab"
    assert patch["responses"]["200"]["schema"] == {"$ref": "#/definitions/io.k8s.api.autoscaling.v1.Scale"}


def test_limits_and_defaults_are_in_the_protobuf_form(both: tuple[Tree, Tree]) -> None:
    encoded = gnostic.encode(both[0])
    assert b"com.example.stable.v1.CronTab" in encoded
    assert b"\x6a\x02^x\x58\x09" in encoded  # pattern ^x, maxLength 9
    assert b'\x2a\x05\x12\x03"x"' in encoded  # default
    assert b"\x49\x00\x00\x00\x00\x00\x00\xf0\x3f" in encoded  # minimum 1
