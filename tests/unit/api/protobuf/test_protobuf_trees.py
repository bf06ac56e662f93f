"""Every message of the table there and back: trees made out of the table, in the form that both directions agree on."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podkeeper.api.protobuf import table
from podkeeper.api.protobuf.decoding import decoder
from podkeeper.api.protobuf.encoding import encoder
from podkeeper.api.protobuf.table import Field
from podkeeper.api.protobuf.values import UNIONS

_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_MOMENT = st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds"))
_RAW = st.dictionaries(_TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT, min_size=1, max_size=3)
_INT32, _INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)

#: Values other than the empty one, which some fields leave out.
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Duration": st.sampled_from(["1s", "1h0m0s", "1m30s", "-2h3m4.5s", "1.5ms", "3µs", "7ns"]),
    "IntOrString": _INT32 | _TEXT,
    "MicroTime": _MOMENT.map(lambda text: f"{text}Z").filter(lambda text: not text.startswith("0001-01-01T00:00:00.0")),
    "Quantity": st.sampled_from(["1", "100m", "128Mi", "1500m", "2Gi", "1e6", "-3", "5k"]),
    "RawJSON": _RAW,
    "Strings": st.lists(_TEXT, min_size=1, max_size=3),
    "Time": _MOMENT.map(lambda text: f"{text[:19]}Z").filter(lambda text: text != "0001-01-01T00:00:00Z"),
    "bool": st.just(True),
    "bytes": st.binary(min_size=1, max_size=8).map(lambda data: base64.b64encode(data).decode()),
    "double": st.floats(allow_nan=False, allow_infinity=False).filter(bool),
    "int32": _INT32.filter(bool),
    "int64": _INT64.filter(bool),
    "string": _TEXT,
}
_EMPTY = {"bool": False, "double": 0.0, "int32": 0, "int64": 0, "string": "", "Quantity": "0", "IntOrString": 0}
_EMPTY["Duration"] = "0s"


@st.composite
def trees(draw: st.DrawFn, message: str, depth: int = 3) -> Any:
    """A tree of the message. Messages within it are empty from ``depth`` on."""
    if "JSONSchemaPropsOr" in message:
        return draw(_union(message, depth))
    tree: dict[str, Any] = {}
    for field in table.fields(message):
        _put(draw, tree, field, depth)
    return tree


def _union(message: str, depth: int) -> st.SearchStrategy[Any]:
    schema = trees(f"{message.partition('.')[0]}.JSONSchemaProps", depth - 1)
    if message.endswith("OrBool"):
        return schema | st.booleans()
    if message.endswith("OrArray"):
        return schema | st.lists(schema, min_size=1, max_size=2)
    return schema | st.lists(_TEXT, min_size=1, max_size=2)


def _put(draw: st.DrawFn, tree: dict[str, Any], field: Field, depth: int) -> None:
    value = _VALUES[field.type] if field.type in _VALUES else trees(field.type, depth - 1)
    if field.form == "=":
        tree.update(draw(value))
    elif field.form or field.pointer:
        if depth <= 0 or not draw(st.booleans()):
            return
        if field.form == "[":
            value = st.lists(value, min_size=1, max_size=2)
        elif field.form == "{":
            value = st.dictionaries(_TEXT, value, min_size=1, max_size=2)
        tree[field.name] = draw(value)
    elif field.type not in _VALUES:
        tree[field.name] = draw(value)  # a struct held by value is in Go's JSON also when it is empty
    elif draw(st.booleans()):
        tree[field.name] = draw(value)
    elif field.type in _EMPTY and (not field.omitempty or field.type in ("Quantity", "IntOrString", "Duration")):
        tree[field.name] = _EMPTY[field.type]


_SAMPLES: dict[str, Any] = {
    "Duration": "1h0m0.5s",
    "IntOrString": "80%",
    "MicroTime": "2026-01-02T03:04:05.000006Z",
    "Quantity": "100m",
    "RawJSON": {"a": [1, None, {"b": "c"}]},
    "Strings": ["a", "b"],
    "Time": "2026-01-02T03:04:05Z",
    "bool": True,
    "bytes": "AAH/",
    "double": 1.5,
    "int32": -1,
    "int64": 1 << 62,
    "string": "é",
}


def full(message: str, depth: int = 4) -> Any:
    """A tree with every field set, down to a depth; then only what is always there."""
    tree: dict[str, Any] = {}
    for field in table.fields(message):
        if (field.pointer or field.form in ("[", "{")) and depth <= 0:
            continue
        value = _SAMPLES[field.type] if field.type in _SAMPLES else full(field.type, depth - 1)
        if field.form == "=":
            tree.update(value)
        else:
            tree[field.name] = {"[": [value, value], "{": {"a": value, "b": value}}.get(field.form, value)
    if "JSONSchemaPropsOr" in message:
        return tree.get("schema", True if message.endswith("OrBool") else {})
    return tree


def read(message: str, data: bytes) -> Any:
    value = decoder(message)(data, 0, len(data), {})
    union = UNIONS.get(message.rpartition(".")[2])
    return value if union is None else union.close(value)


@pytest.mark.parametrize("message", table.messages())
def test_every_field_of_every_message_survives(message: str) -> None:
    tree = full(message)
    data = encoder(message)(tree)
    assert read(message, data) == tree


@pytest.mark.parametrize("message", table.messages())
def test_a_message_without_anything_reads_as_it_was_written(message: str) -> None:
    if "JSONSchemaPropsOr" in message:
        return  # a union of nothing is no JSON
    data = encoder(message)({})
    assert encoder(message)(read(message, data)) == data
    assert read(message, data) == read(message, b"")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_tree_survives(data: st.DataObject) -> None:
    message = data.draw(st.sampled_from(table.messages()))
    tree = data.draw(trees(message))
    written = encoder(message)(tree)
    assert read(message, written) == tree
    assert encoder(message)(read(message, written)) == written
