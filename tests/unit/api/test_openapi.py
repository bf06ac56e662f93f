"""The OpenAPI documents against the published ones, and closed in themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from podkeeper.api import openapi
from podkeeper.api.openapi import gnostic
from podkeeper.api.resources import RESOURCES

SERVED = [row for row in RESOURCES if row.enabled]


@pytest.fixture(scope="module")
def second() -> dict[str, Any]:
    return openapi.v2_document(SERVED, "v1.36.0")


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def test_every_reference_leads_somewhere(second: dict[str, Any]) -> None:
    names = {name.removeprefix("#/definitions/") for name in references(second)}
    assert names <= second["definitions"].keys()
    core = openapi.v3_document([row for row in SERVED if not row.group], "v1.36.0")
    names = {name.removeprefix("#/components/schemas/") for name in references(core)}
    assert names <= core["components"]["schemas"].keys()


def test_paths_and_actions_are_upstreams(second: dict[str, Any], facts: Path) -> None:
    published = json.loads((facts / "openapi-paths.json").read_text())
    for path, methods in second["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            assert published[path][method]["action"] == operation["x-kubernetes-action"], (method, path)


def test_definitions_are_upstreams(second: dict[str, Any], facts: Path) -> None:
    published = json.loads((facts / "openapi-definitions.json").read_text())
    for name in ("io.k8s.api.core.v1.Container", "io.k8s.api.apps.v1.DeploymentSpec", "io.k8s.api.core.v1.ServiceSpec"):
        own, theirs = second["definitions"][name], published[name]
        assert own["properties"].keys() == theirs["properties"].keys(), name
        assert sorted(own.get("required", ())) == sorted(theirs.get("required", ())), name
        for field, tree in theirs["properties"].items():
            wanted = {key: text for key, text in tree.items() if key.startswith("x-") or key in ("$ref", "type")}
            assert {key: own["properties"][field].get(key) for key in wanted} == wanted, (name, field)


def test_patches_take_field_validation_so_that_kubectl_leaves_it_to_the_server() -> None:
    document = openapi.v3_document([row for row in SERVED if row.group == "apps"], "v1.36.0")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}


def test_the_index_names_each_document_by_its_hash() -> None:
    index = openapi.v3_index({"api/v1": "ABC"})
    assert index == {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=ABC"}}}


def test_the_protobuf_form_carries_definitions_by_name() -> None:
    document = {
        "swagger": "2.0",
        "info": {"title": "T", "version": "v"},
        "definitions": {"a.B": {"type": "object", "properties": {"c": {"type": "string"}}, "x-y": [{"kind": "B"}]}},
    }
    encoded = gnostic.encode(document)
    assert encoded.startswith(b"\x0a\x032.0\x12\x06\x0a\x01T\x12\x01v")
    assert b"\xb2\x01\x08\x0a\x06object" in encoded
    assert b"\x0a\x01c\x12\x0b\xb2\x01\x08\x0a\x06string" in encoded
    assert b"\x0a\x03a.B" in encoded
    assert b'[{"kind":"B"}]' in encoded
