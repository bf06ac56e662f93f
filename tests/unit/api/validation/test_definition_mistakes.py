"""Definitions of custom resources that are refused, in upstream's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Judge = Callable[..., list[tuple[str, str]]]
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "port": {"x-kubernetes-int-or-string": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "items": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "any": {"x-kubernetes-preserve-unknown-fields": True},
            },
        }
    },
}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
    },
}
AT, SPEC = "spec.versions.0.schema.openAPIV3Schema", "spec.validation.openAPIV3Schema.properties[spec]"
CASES: list[tuple[str, Any, str, str]] = [
    (
        "metadata.name",
        "widget.example.com",
        "metadata.name",
        'Invalid value: "widget.example.com": must be spec.names.plural+"."+spec.group',
    ),
    ("spec.scope", "World", "spec.scope", 'Unsupported value: "World": supported values: "Cluster", "Namespaced"'),
    (
        "spec.names.listKind",
        "Widget",
        "spec.names.listKind",
        'Invalid value: "Widget": kind and listKind may not be the same',
    ),
    (
        "spec.preserveUnknownFields",
        True,
        "spec.preserveUnknownFields",
        "Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
        "spec.versions[*].schema instead",
    ),
    (
        "spec.versions.0.schema",
        None,
        "spec.versions[0].schema.openAPIV3Schema",
        "Required value: schemas are required",
    ),
    (
        "spec.versions.0.additionalPrinterColumns",
        [{"name": "Size", "type": "text", "jsonPath": ".spec.size"}],
        "spec.versions[0].additionalPrinterColumns[0].type",
        'Unsupported value: "text": supported values: "boolean", "date", "integer", "number", "string"',
    ),
    (
        f"{AT}.type",
        None,
        "spec.validation.openAPIV3Schema.type",
        "Required value: must not be empty at the root",
    ),
    (
        f"{AT}.properties.spec.type",
        None,
        f"{SPEC}.type",
        "Required value: must not be empty for specified object fields",
    ),
    (
        f"{AT}.properties.spec.properties.size.type",
        "int",
        f"{SPEC}.properties[size].type",
        'Unsupported value: "int": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ),
    (
        f"{AT}.properties.spec.properties.items.items",
        None,
        f"{SPEC}.properties[items].items",
        "Required value: must be specified",
    ),
    (
        f"{AT}.properties.spec.properties.items.x-kubernetes-list-type",
        "set-of",
        f"{SPEC}.properties[items].x-kubernetes-list-type",
        'Unsupported value: "set-of": supported values: "atomic", "set", "map"',
    ),
    (
        f"{AT}.properties.spec.additionalProperties",
        {"type": "string"},
        f"{SPEC}.additionalProperties",
        "Forbidden: additionalProperties and properties are mutual exclusive",
    ),
    (
        f"{AT}.properties.spec.properties.port.type",
        "string",
        f"{SPEC}.properties[port].type",
        'Invalid value: "string": must be empty if x-kubernetes-int-or-string is true',
    ),
    (
        "spec.conversion",
        {"strategy": "Webhook"},
        "spec.conversion.webhookClientConfig",
        "Required value: required when strategy is set to Webhook",
    ),
]


def test_the_plain_definition_is_good(on_create: Judge) -> None:
    assert on_create(DEFINITION) == []


@pytest.mark.parametrize(("path", "value", "field", "message"), CASES)
def test_a_mistake_names_its_field(on_create: Judge, path: str, value: object, field: str, message: str) -> None:
    assert on_create(DEFINITION, path, value) == [(field, message)]


def test_one_version_is_stored(on_create: Judge) -> None:
    [(field, message)] = on_create(DEFINITION, "spec.versions.0.storage", False)
    assert field == "spec.versions"
    assert message.endswith("must have exactly one version marked as storage version")


def test_schemas_that_differ_are_shown_in_their_versions(on_create: Judge) -> None:
    second = {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": {"type": "string"}}}
    versions = [*DEFINITION["spec"]["versions"], second]
    assert on_create(DEFINITION, "spec.versions", versions) == [
        ("spec.versions[1].schema.openAPIV3Schema.type", 'Invalid value: "string": must be object at the root')
    ]


def test_groups_of_the_project_need_an_approval(on_create: Judge) -> None:
    protected = DEFINITION | {"metadata": {"name": "widgets.apps.k8s.io"}}
    [(field, _)] = on_create(protected, "spec.group", "apps.k8s.io")
    assert field == "metadata.annotations[api-approved.kubernetes.io]"


def test_a_served_kind_stays(on_update: Judge) -> None:
    served = DEFINITION | {
        "status": {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}
    }
    assert on_update(served, "spec.scope", "Cluster") == [
        ("spec.scope", 'Invalid value: "Cluster": field is immutable')
    ]
    gone, not_stored = on_update(served, "spec.versions.0.name", "v2")
    assert gone[0] == "status.storedVersions[0]"
    assert gone[1].startswith('Invalid value: "v1": missing from spec.versions; v1 was previously a storage version')
    assert not_stored == ("status.storedVersions", 'Invalid value: ["v1"]: must have the storage version v2')
    assert on_update(DEFINITION, "spec.scope", "Cluster") == []
