"""The packaged schema: how fields merge, what they hold, and that it says what the published definitions say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from podkeeper.api import codec, schema
from podkeeper.api.core import v1
from podkeeper.api.resources import RESOURCES
from podkeeper.api.schema import Property


def test_a_list_of_structs_tells_how_it_merges() -> None:
    containers = schema.named("core/v1.PodSpec").properties["containers"]
    assert (containers.form, containers.list_type, containers.map_keys) == ("list", "map", ("name",))
    assert (containers.merge_key, containers.strategies) == ("name", ("merge",))
    held = schema.struct_of(containers)
    assert held is not None
    assert held.name == "core/v1.Container"


def test_a_strategy_may_have_two_words() -> None:
    assert schema.named("core/v1.PodSpec").properties["volumes"].strategies == ("merge", "retainKeys")


def test_a_scalar_has_no_struct() -> None:
    limits = schema.named("core/v1.ResourceRequirements").properties["limits"]
    assert limits.form == "map"
    assert limits.member == Property("scalar", "=Quantity")
    assert schema.struct_of(limits) is None


def test_kinds_and_classes_lead_to_the_same_type() -> None:
    assert schema.for_kind("", "v1", "Pod") is schema.for_class(v1.Pod)
    assert schema.for_kind("example.com", "v1", "Widget") is None
    with pytest.raises(KeyError):
        schema.named("core/v1.Widget")


def test_every_resource_has_a_schema_with_the_fields_of_its_class() -> None:
    for row in RESOURCES:
        cls = codec.struct_class(row)
        found = schema.for_kind(row.group, row.version, row.kind)
        assert found is schema.for_class(cls), row.qualified_name
        assert set(found.properties) == {field.encode_name for field in msgspec.structs.fields(cls)}


def test_every_struct_that_a_property_names_exists() -> None:
    known = set(schema.names())
    for name in known:
        for wire, value in schema.named(name).properties.items():
            while value.member is not None:
                value = value.member
            assert value.form == "scalar" or value.name in known, f"{name}.{wire}"


def test_nothing_of_the_published_definitions_is_lost(facts: Path) -> None:
    published = json.loads((facts / "openapi-definitions.json").read_text())
    own = {schema.full_name(name): schema.named(name) for name in schema.names()}
    assert own.keys() | schema.scalar_definitions().keys() == published.keys()
    for full_name, found in own.items():
        definition = published[full_name]
        assert list(found.required) == definition.get("required", []), full_name
        for wire, raw in definition.get("properties", {}).items():
            assert _merging(found.properties[wire]) == _published_merging(raw), f"{full_name}.{wire}"


def _merging(value: Property) -> tuple[Any, ...]:
    return value.list_type, value.map_keys, value.map_type, value.merge_key, ",".join(value.strategies)


def _published_merging(raw: dict[str, Any]) -> tuple[Any, ...]:
    return (
        raw.get("x-kubernetes-list-type", ""),
        tuple(raw.get("x-kubernetes-list-map-keys", ())),
        raw.get("x-kubernetes-map-type", ""),
        raw.get("x-kubernetes-patch-merge-key", ""),
        raw.get("x-kubernetes-patch-strategy", ""),
    )
