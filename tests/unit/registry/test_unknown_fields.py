"""The quick look for unknown fields says the same as the thorough one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api import codec
from podkeeper.api.apiextensions import v1 as apiextensions
from podkeeper.api.core import v1
from podkeeper.registry import unknown_fields

KEYS = st.sampled_from(
    ["metadata", "spec", "containers", "env", "name", "labels", "resources", "requests", "volumes", "configMap", "nope"]
)
TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_quick_and_thorough_agree(tree: dict[str, Any]) -> None:
    assert unknown_fields.paths(v1.Pod, tree) == list(codec.unknown_fields(v1.Pod, tree))


def test_paths() -> None:
    tree = {
        "metadata": {"labels": {"any": "thing"}},
        "spec": {"containers": [{"name": "a"}, {"nam": "b", "env": [{"nme": "E"}]}], "nodeNam": "n"},
    }
    found = ["spec.containers[1].nam", "spec.containers[1].env[0].nme", "spec.nodeNam"]
    assert unknown_fields.paths(v1.Pod, tree) == found


def test_types_that_contain_themselves() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"properties": {"b": {"tpe": "string"}}}}}
    assert unknown_fields.paths(apiextensions.JSONSchemaProps, schema) == ["properties.a.properties.b.tpe"]
