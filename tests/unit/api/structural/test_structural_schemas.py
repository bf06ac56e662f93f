"""Custom objects beside their schema: what goes, what is filled in, and what is wrong in which words."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.structural import default, drop_nulls, duplicates, embedded_objects, parse, prune, validate
from podkeeper.api.structural.formats import CHECKS

Tree = dict[str, Any]


def of_spec(**properties: Tree) -> Tree:
    """A schema of objects with these fields in their spec."""
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def test_what_is_not_specified_is_pruned_and_named() -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {"a": STRING}}}
    schema = parse(of_spec(known=STRING, list=items))
    tree: Tree = {
        "apiVersion": "g/v1",
        "kind": "K",
        "metadata": {"name": "n", "made": "up"},
        "spec": {"known": "x", "other": 1, "list": [{"a": "1", "b": "2"}]},
        "more": {},
    }
    assert prune(tree, schema) == ["metadata.made", "more", "spec.list[0].b", "spec.other"]
    assert tree == {
        "apiVersion": "g/v1",
        "kind": "K",
        "metadata": {"name": "n"},
        "spec": {"known": "x", "list": [{"a": "1"}]},
    }


def test_fields_are_preserved_where_the_schema_says_so() -> None:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "object"}}}
    tree: Tree = {"spec": {"free": {"any": {"thing": 1}, "a": {"b": 1}}, "map": {"k": {"x": "1", "y": 2}}}}
    values = {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": STRING}}}
    assert prune(tree, parse(of_spec(free=free, map=values))) == ["spec.free.a.b", "spec.map.k.y"]
    assert tree["spec"]["free"] == {"any": {"thing": 1}, "a": {}}


def test_embedded_objects_keep_what_every_object_has() -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}}
    inner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n"}, "spec": {}, "status": {}}
    tree: Tree = {"spec": {"template": inner}}
    assert prune(tree, parse(of_spec(template=embedded))) == ["spec.template.status"]


def test_defaults_fill_what_is_missing_down_to_where_something_is() -> None:
    inner = {"type": "object", "default": {}, "properties": {"b": {"type": "string", "default": "x"}}}
    members = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}}
    schema = parse(of_spec(a=inner, list=members, plain=STRING))
    tree: Tree = {"spec": {"list": [{}, {"n": 2}]}}
    default(tree, schema)
    assert tree == {"spec": {"a": {"b": "x"}, "list": [{"n": 1}, {"n": 2}]}}
    empty: Tree = {}
    default(empty, schema)
    assert empty == {}


def test_objects_do_not_share_their_defaults() -> None:
    schema = parse(of_spec(a={"type": "array", "default": [], "items": STRING}))
    one: Tree = {"spec": {}}
    two: Tree = {"spec": {}}
    for tree in (one, two):
        default(tree, schema)
    one["spec"]["a"].append("x")
    assert two == {"spec": {"a": []}}


def test_null_means_absence_where_it_may_not_stand() -> None:
    strict = {"type": "string", "default": "x"}
    schema = parse(of_spec(strict=strict, loose=strict | {"nullable": True}))
    tree: Tree = {"spec": {"strict": None, "loose": None}}
    default(tree, schema)
    assert tree == {"spec": {"strict": "x", "loose": None}}
    stored: Tree = {"spec": {"strict": None, "loose": None}}
    drop_nulls(stored, schema)
    assert stored == {"spec": {"loose": None}}


INVALID: list[tuple[Tree, Any, str]] = [
    (STRING, 1, 'Invalid value: "integer": spec.f in body must be of type string: "integer"'),
    (STRING, None, 'Invalid value: "null": spec.f in body must be of type string: "null"'),
    (INTEGER, "1", 'Invalid value: "string": spec.f in body must be of type integer: "string"'),
    (INTEGER, 1.5, 'Invalid value: "number": spec.f in body must be of type integer: "number"'),
    (INTEGER, True, 'Invalid value: "boolean": spec.f in body must be of type integer: "boolean"'),
    (INTEGER | {"maximum": 3}, 4, "Invalid value: 4: spec.f in body should be less than or equal to 3"),
    (INTEGER | {"minimum": 3}, 2, "Invalid value: 2: spec.f in body should be greater than or equal to 3"),
    (
        INTEGER | {"minimum": 3, "exclusiveMinimum": True},
        3,
        "Invalid value: 3: spec.f in body should be greater than 3",
    ),
    (INTEGER | {"multipleOf": 2}, 3, "Invalid value: 3: spec.f in body should be a multiple of 2"),
    (
        INTEGER | {"format": "int32"},
        1 << 31,
        "Invalid value: 2147483648: spec.f in body must be of type int32: 2147483648",
    ),
    (STRING | {"maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
    (STRING | {"minLength": 2}, "a", 'Invalid value: "a": spec.f in body should be at least 2 chars long'),
    (STRING | {"pattern": "^a+$"}, "b", "Invalid value: \"b\": spec.f in body should match '^a+$'"),
    (STRING | {"enum": ["a", "b"]}, "c", 'Unsupported value: "c": supported values: "a", "b"'),
    (
        STRING | {"format": "date-time"},
        "soon",
        'Invalid value: "soon": spec.f in body must be of type date-time: "soon"',
    ),
    ({"type": "array", "items": STRING, "maxItems": 1}, ["a", "b"], "Too many: 2: must have at most 1 item"),
    (
        {"type": "array", "items": STRING, "minItems": 1},
        [],
        "Invalid value: 0: spec.f in body should have at least 1 items",
    ),
    ({"type": "object", "minProperties": 1}, {}, "Invalid value: 0: spec.f in body should have at least 1 properties"),
    (
        STRING | {"not": {"enum": ["x"]}},
        "x",
        'Invalid value: "x": "spec.f" must not validate the schema (not)',
    ),
    (
        STRING | {"anyOf": [{"enum": ["a"]}, {"enum": ["b"]}]},
        "c",
        'Invalid value: "c": "spec.f" must validate at least one schema (anyOf)',
    ),
    (
        STRING | {"oneOf": [{"minLength": 1}, {"minLength": 2}]},
        "abc",
        'Invalid value: "abc": "spec.f" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ),
]


@pytest.mark.parametrize(("schema", "value", "message"), INVALID, ids=[row[2][:60] for row in INVALID])
def test_mistakes_are_told_in_upstreams_words(schema: Tree, value: Any, message: str) -> None:
    (cause,) = validate({"spec": {"f": value}}, parse(of_spec(f=schema)))
    assert (cause.field, cause.message) == ("spec.f", message)


def test_required_fields_are_named_by_their_path() -> None:
    schema = of_spec(f=STRING)
    schema["properties"]["spec"]["required"] = ["f"]
    (cause,) = validate({"spec": {}}, parse(schema))
    assert (cause.reason, cause.field) == ("FieldValueRequired", "spec.f")


def test_lists_that_are_sets_or_maps_hold_nothing_twice() -> None:
    members = {"type": "object", "properties": {"n": STRING}}
    kinds = of_spec(
        set={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        map={"type": "array", "items": members, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]},
    )
    tree = {"spec": {"set": ["a", "b", "a", "a"], "map": [{"n": "x"}, {"n": "x", "other": 1}, {}, {"other": 1}]}}
    found = [(cause.reason, cause.field, cause.message) for cause in duplicates(tree, parse(kinds))]
    assert found == [
        ("FieldValueDuplicate", "spec.set[2]", 'Duplicate value: "a"'),
        ("FieldValueDuplicate", "spec.map[1]", 'Duplicate value: {"n":"x"}'),
        ("FieldValueDuplicate", "spec.map[3]", "Duplicate value: {}"),
    ]


def test_lists_may_hold_something_twice_where_something_was_twice() -> None:
    nested = {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}
    schema = parse(of_spec(by_name={"type": "object", "additionalProperties": nested}))
    good, bad, other = ({"spec": {"by_name": {"k": list(each)}}} for each in ("ab", "aa", "bb"))
    assert duplicates(good, schema, bad) == duplicates(other, schema, bad) == []
    (cause,) = duplicates(bad, schema, good)
    assert cause.field == "spec.by_name[k][1]"


def test_embedded_objects_say_what_they_are() -> None:
    kept = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-embedded-resource": True}
    schema = parse(of_spec(one=kept, by_name={"type": "object", "additionalProperties": kept}))
    tree = {
        "spec": {"one": {"kind": "K"}, "by_name": {"k": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "_"}}}}
    }
    found = embedded_objects(tree, schema)
    assert [cause.field for cause in found] == ["spec.one.apiVersion", "spec.by_name[k].metadata.name"]


def test_lists_of_many_members_are_gone_through_once() -> None:
    members = {"type": "object", "properties": {"n": STRING, "m": INTEGER}}
    kinds = of_spec(
        set={"type": "array", "items": {}, "x-kubernetes-list-type": "set"},
        map={"type": "array", "items": members, "x-kubernetes-list-type": "map"}
        | {"x-kubernetes-list-map-keys": ["n", "m"]},
    )
    mixed = [each for number in range(10_000) for each in (number, str(number))]
    tree = {"spec": {"set": [True, *mixed], "map": [{"n": str(n), "m": n % 7} for n in range(20_000)]}}
    start = time.process_time()
    assert validate(tree, parse(kinds)) == duplicates(tree, parse(kinds)) == []
    assert time.process_time() - start < 5


@pytest.mark.parametrize("value", [1, "50%"])
def test_numbers_or_texts(value: Any) -> None:
    assert validate({"spec": {"f": value}}, parse(of_spec(f={"x-kubernetes-int-or-string": True}))) == []


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "::x"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b"),
        ("byte", "YQ==", "YQ"),
        ("date", "2026-02-28", "2026-02-30"),
        ("duration", "1h30m", "soon"),
        ("hostname", "a.example.com", "-a.example.com"),
        ("k8s-short-name", "a-1", "a.b"),
        ("k8s-long-name", "a.b-1", "A.b"),
        ("mac", "00:1b:44:11:3a:b7", "00:1b"),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    assert CHECKS[name](good)
    assert not CHECKS[name](bad)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abcd"), below, max_size=3),
        max_leaves=10,
    )
)
def test_any_value_can_be_pruned_defaulted_and_judged(value: Any) -> None:
    """And what was pruned once has nothing more to prune, what was defaulted nothing more to fill in."""
    inner = {"type": "object", "properties": {"a": STRING | {"default": "x"}, "b": {"type": "array", "items": INTEGER}}}
    schema = parse(of_spec(a=inner, b={"type": "object", "additionalProperties": inner}))
    tree = {"spec": copy.deepcopy(value)}
    prune(tree, schema)
    assert prune(tree, schema) == []
    default(tree, schema)
    once = copy.deepcopy(tree)
    default(tree, schema)
    assert tree == once
    validate(tree, schema)
