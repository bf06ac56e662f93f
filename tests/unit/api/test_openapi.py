"""The OpenAPI documents are closed in themselves and carry what clients look for."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import openapi
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
    core = openapi.v3_document(openapi.v3_documents(SERVED)["api/v1"], "v1.36.0")
    names = {name.removeprefix("#/components/schemas/") for name in references(core)}
    assert names <= core["components"]["schemas"].keys()


def test_patches_take_field_validation_so_that_kubectl_leaves_it_to_the_server() -> None:
    document = openapi.v3_document(openapi.v3_documents(SERVED)["apis/apps/v1"], "v1.36.0")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}


def test_the_index_names_each_document_by_its_hash() -> None:
    index = openapi.v3_index({"api/v1": "ABC"})
    assert index == {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=ABC"}}}


def test_version_3_tells_what_an_amount_and_a_port_can_be_and_what_they_are_if_not_given() -> None:
    """As upstream's does, so that clients can tell a Quantity from a text; version 2 has no way to say it."""
    schemas = openapi.v3_document(openapi.v3_documents(SERVED)["api/v1"], "v1.36.0")["components"]["schemas"]
    amount = schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert amount["oneOf"] == [{"type": "string"}, {"type": "number"}]
    assert "type" not in amount
    either = schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    assert either["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    assert either["format"] == "int-or-string"
    port = schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]
    assert port["containerPort"]["default"] == 0
    assert "default" not in port["hostPort"]
    pod = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert pod["containers"]["items"]["default"] == {}
    assert "default" not in pod["containers"]
    assert pod["nodeSelector"]["additionalProperties"] == {"type": "string", "default": ""}
    assert pod["overhead"]["additionalProperties"].keys() == {"$ref"}
