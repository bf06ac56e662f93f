"""JSONPath against a small object."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.jsonpath import JsonPath, MalformedPath

TREE = {
    "metadata": {"labels": {"app.kubernetes.io/name": "x"}},
    "spec": {"size": 3, "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [3]),
        ("{.spec.size}", [3]),
        ("$.spec.size", [3]),
        (".spec.missing.deep", []),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [443]),
        (".spec.ports[7].port", []),
        (".spec.ports[*].name", ["a", "b"]),
        (".spec.ports[0:1].name", ["a"]),
        (".spec.ports[:].port", [80, 443]),
        ("..port", [80, 443]),
        (".spec['size']", [3]),
        (r".metadata.labels.app\.kubernetes\.io/name", ["x"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Old')].status", ["False"]),
        (".spec.ports[?(@.port>100)].name", ["b"]),
        (".spec.ports[?(@.name)].port", [80, 443]),
        (".spec.ports[?(@.name>1)].port", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert list(JsonPath(path).find(TREE)) == found


def test_the_first_or_nothing() -> None:
    assert JsonPath(".spec.ports[*].port").first(TREE) == 80
    assert JsonPath(".nothing").first(TREE) is None


@pytest.mark.parametrize("text", ["spec", ".a[", ".a[?(@.b==]", ".a[b]", ".a[?(@.b==x)]", ".", ".a.[0]"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(MalformedPath):
        JsonPath(text)


@given(st.text(alphabet=".[]()?@$*'\"=<>ab01:- \\", max_size=20))
def test_any_text_is_a_path_or_malformed(text: str) -> None:
    with contextlib.suppress(MalformedPath):
        list(JsonPath(text).find(TREE))
