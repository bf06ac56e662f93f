"""Descriptions: every one is of something that exists, and the documents carry them."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from podkeeper.api import openapi, schema
from podkeeper.api.openapi import descriptions
from podkeeper.api.resources import RESOURCES

SERVED = [row for row in RESOURCES if row.enabled]
FILES = {stem: json.loads(content) for stem, content in descriptions.sources()}
SCALARS = {name.rpartition(".")[2] for name in schema.scalar_definitions()}
TYPES = {name: schema.named(name) for name in schema.names()}
TEXTS = [
    (f"{stem} {kind}.{field}", text)
    for stem, kinds in FILES.items()
    for kind, fields in kinds.items()
    for field, text in fields.items()
]


@pytest.mark.parametrize("stem", sorted(FILES.keys() - {descriptions.GENERAL}))
def test_every_description_is_of_a_type_and_field_that_exist(stem: str) -> None:
    for kind, fields in FILES[stem].items():
        if kind in SCALARS:
            assert fields.keys() == {""}, kind
            continue
        found = TYPES[f"{stem.replace('_', '/')}.{kind}"]
        assert fields.keys() - {""} <= found.properties.keys(), kind


def test_every_general_description_is_of_fields_that_exist() -> None:
    for pattern, fields in FILES[descriptions.GENERAL].items():
        plain = [found for name, found in TYPES.items() if fnmatchcase(name.rpartition(".")[2], pattern)]
        assert fields.keys() <= set().union(*(found.properties for found in plain)), pattern


def test_every_description_is_a_sentence_or_two_or_three() -> None:
    for where, text in TEXTS:
        assert text == text.strip(), where
        assert text.endswith("."), where
        assert text[0].isupper(), where
        assert len(text) <= 250, where
    assert len(TEXTS) > 1000


def test_no_field_is_described_in_words_that_a_general_description_has_already() -> None:
    general = {text for fields in FILES[descriptions.GENERAL].values() for text in fields.values()}
    assert not [where for where, text in TEXTS if text in general and not where.startswith(descriptions.GENERAL)]


def test_a_field_says_something_else_than_its_type() -> None:
    """kubectl explain shows both, one below the other."""
    found = descriptions.Descriptions()
    for kind in TYPES.values():
        for field, value in kind.properties.items():
            inner = schema.struct_of(value)
            if inner is not None and found.of_field(kind, field):
                assert found.of_field(kind, field) != found.of_type(inner), (kind.name, field)


def spoken(documents: list[dict[str, Any]]) -> set[str]:
    found = set()
    for tree in documents:
        found.add(tree.get("description", ""))
        found |= {each.get("description", "") for each in tree.get("properties", {}).values()}
    return found


def test_the_documents_carry_all_that_is_said_of_what_is_served() -> None:
    second = openapi.v2_document(SERVED, "v1.36.0")
    told = spoken(list(second["definitions"].values()))
    third = [openapi.v3_document(found, "v1.36.0") for found in openapi.v3_documents(SERVED).values()]
    assert told == spoken([tree for document in third for tree in document["components"]["schemas"].values()])
    missing = {text for _, text in TEXTS} - told
    assert not missing


def test_every_kind_that_is_served_says_what_it_is() -> None:
    assert not [row.kind for row in SERVED if not described(row.group, row.version, row.kind)]


def described(group: str, version: str, kind: str) -> str:
    found = schema.for_kind(group, version, kind)
    assert found is not None
    return descriptions.Descriptions().of_type(found)


def test_a_field_beside_a_reference_is_described_in_both_dialects() -> None:
    """Version 2 lets a description stand beside $ref; version 3 does not, so the reference moves into allOf."""
    name = "io.k8s.api.core.v1.PodSpec"
    second = openapi.v2_document(SERVED, "v1.36.0")["definitions"][name]["properties"]["affinity"]
    core = openapi.v3_document(openapi.v3_documents(SERVED)["api/v1"], "v1.36.0")
    third = core["components"]["schemas"][name]["properties"]["affinity"]
    assert second.keys() == {"$ref", "description"}
    assert third.keys() == {"allOf", "description"}
    assert second["description"] == third["description"]


def test_a_changed_description_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that clients, which keep documents by their hash, ask anew."""
    before = openapi.fingerprint()
    assert openapi.fingerprint() == before
    monkeypatch.setattr(descriptions, "sources", lambda: iter([("core_v1", b"{}")]))
    assert openapi.fingerprint() != before
