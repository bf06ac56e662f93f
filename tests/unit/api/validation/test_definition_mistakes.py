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
        "spec.additionalPrinterColumns[0].type",
        'Invalid value: "text": must be one of boolean,date,integer,number,string',
    ),
    (
        "spec.versions.0.additionalPrinterColumns",
        [{"name": "Size", "type": "integer", "format": "int8", "jsonPath": ".spec.size"}],
        "spec.additionalPrinterColumns[0].format",
        'Invalid value: "int8": must be one of byte,date,date-time,double,float,int32,int64,password',
    ),
    (
        "spec.versions.0.additionalPrinterColumns",
        [{"name": "Size", "type": "integer", "jsonPath": "spec.size"}],
        "spec.additionalPrinterColumns[0].JSONPath",
        'Invalid value: "spec.size": must be a simple json path starting with .',
    ),
    (
        "spec.versions.0.subresources",
        {"scale": {"specReplicasPath": ".status.size", "statusReplicasPath": ".status.size"}},
        "spec.subresources.scale.specReplicasPath",
        'Invalid value: ".status.size": should be a json path under .spec',
    ),
    (
        "spec.versions.0.deprecationWarning",
        "old",
        "spec.versions[0].deprecationWarning",
        'Invalid value: "old": can only be set for deprecated versions',
    ),
    (
        f"{AT}.properties.spec.properties.size.uniqueItems",
        True,
        f"{SPEC}.properties[size].uniqueItems",
        "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
    ),
    (
        f"{AT}.properties.spec.properties.size.anyOf",
        [{"$ref": "x"}],
        f"{SPEC}.properties[size].anyOf[0].$ref",
        "Forbidden: $ref is not supported",
    ),
    (
        f"{AT}.properties.metadata",
        {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        "spec.validation.openAPIV3Schema.properties[metadata].x-kubernetes-embedded-resource",
        "Forbidden: must not be used inside of resource meta",
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
        {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}},
        "spec.conversion.webhookClientConfig",
        "Required value: required when strategy is set to Webhook",
    ),
    (
        "spec.conversion",
        {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}},
        "spec.conversion.conversionReviewVersions",
        "Forbidden: should not be set when strategy is not set to Webhook",
    ),
    (
        "spec.conversion",
        {
            "strategy": "Webhook",
            "webhook": {"clientConfig": {"url": "https://a.b/c"}, "conversionReviewVersions": ["v1", "v1"]},
        },
        "spec.conversion.conversionReviewVersions[1]",
        'Invalid value: "v1": duplicate version',
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
    at = "metadata.annotations[api-approved.kubernetes.io]"
    [(field, _)] = on_create(protected, "spec.group", "apps.k8s.io")
    assert field == at
    protected["metadata"] = protected["metadata"] | {"annotations": {"api-approved.kubernetes.io": "yes"}}
    [(field, message)] = on_create(protected, "spec.group", "apps.k8s.io")
    assert field == at
    assert message.startswith('Invalid value: "yes": protected groups must have approval annotation')
    for good in ("unapproved, trying", "https://example.com/1"):
        protected["metadata"]["annotations"] = {"api-approved.kubernetes.io": good}
        assert on_create(protected, "spec.group", "apps.k8s.io") == []


def test_a_status_apart_binds_the_root(on_create: Judge) -> None:
    versions = [DEFINITION["spec"]["versions"][0] | {"subresources": {"status": {}}}]
    definition = DEFINITION | {"spec": DEFINITION["spec"] | {"versions": versions}}
    assert on_create(definition) == []
    assert on_create(definition, f"{AT}.description", "a door") == []
    [(field, message)] = on_create(definition, f"{AT}.oneOf", [{"required": ["spec"]}])
    assert field == "spec.validation.openAPIV3Schema"
    assert message.endswith("fields are allowed at the root of the schema if the status subresource is enabled")


def test_a_broken_type_is_told_twice(on_create: Judge) -> None:
    told = on_create(DEFINITION, f"{AT}.properties.spec.properties.size.type", "null")
    assert [message.partition(":")[0] for _, message in told] == ["Unsupported value", "Forbidden"]


def test_a_bundle_holds_certificates_once_it_is_used(on_update: Judge) -> None:
    client = {"url": "https://a.b/c", "caBundle": "AAAA"}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
    }
    assert on_update(DEFINITION, "spec.conversion", conversion) == []
    served = DEFINITION | {
        "status": {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}
    }
    [(field, _)] = on_update(served, "spec.conversion", conversion)
    assert field == "spec.conversion.webhookClientConfig.caBundle"


def test_a_served_kind_stays(on_update: Judge) -> None:
    served = DEFINITION | {
        "status": {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}
    }
    assert on_update(served, "spec.scope", "Cluster") == [
        ("spec.scope", 'Invalid value: "Cluster": field is immutable')
    ]
    not_stored, gone = on_update(served, "spec.versions.0.name", "v2")
    assert gone[0] == "status.storedVersions[0]"
    assert gone[1].startswith('Invalid value: "v1": missing from spec.versions; v1 was previously a storage version')
    assert not_stored == ("status.storedVersions", 'Invalid value: ["v1"]: must have the storage version v2')
    assert on_update(DEFINITION, "spec.scope", "Cluster") == []
