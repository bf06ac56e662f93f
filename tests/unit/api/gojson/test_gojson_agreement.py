"""What msgspec refuses in C, and what Go's reader has a word for, are the same: on published objects with one thing
changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podkeeper.api import codec, gojson, schema

VALUES = ("x", "", "5Gi", "AAAA", "2024-01-01T00:00:00Z", 5, -1, 1 << 40, 1.5, 2.0, True, None)
COMPOUNDS: tuple[Any, ...] = ([], {}, [1], ["a"], [None], {"a": 1}, {"a": None})


@cache
def examples(facts: Path) -> list[tuple[str, Any]]:
    found = []
    for path in sorted((facts / "golden").glob("*.json")):
        tree = json.loads(path.read_bytes())
        group, _, version = tree.get("apiVersion", "").rpartition("/")
        known = schema.for_kind(group, version, tree.get("kind", ""))
        if known is not None:
            found.append((known.name, tree))
    return found


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield from places(value, (*path, key))


def refused(name: str, body: bytes) -> bool:
    package, _, kind = name.rpartition(".")
    try:
        codec.decode(codec.load_class(f"podkeeper.api.{package.replace('/', '.')}:{kind}"), body)
    except codec.CodecError:
        return True
    return False


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_both_refuse_the_same(facts: Path, data: st.DataObject) -> None:
    name, tree = data.draw(st.sampled_from(examples(facts)))
    tree = copy.deepcopy(tree)
    path = data.draw(st.sampled_from(list(places(tree))))
    at = tree
    for key in path[:-1]:
        at = at[key]
    value = data.draw(st.sampled_from(VALUES + COMPOUNDS))
    if isinstance(at[path[-1]], str) and isinstance(value, list):
        value = "!"  # Go takes lists of numbers for bytes, which we do not
    at[path[-1]] = value
    body = json.dumps(tree).encode()
    assert refused(name, body) == bool(gojson.judge(gojson.read(body), name).error)
