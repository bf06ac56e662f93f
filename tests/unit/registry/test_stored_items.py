"""Items: stored bytes, rendered bytes, and what is decoded from them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from podkeeper.registry.cache.selectable import head_reader
from podkeeper.registry.item import Shape, StoredItem

SHAPE = Shape("v1", "Pod", head_reader(("", "pods")))


def stored(**rest: object) -> bytes:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}, **rest}
    return json.dumps(body, separators=(",", ":")).encode()


def item(revision: int = 7, value: bytes = stored()) -> StoredItem:
    return StoredItem(SHAPE, "/pods/d/p", "d", "p", revision, value)


def test_the_version_is_put_in_first() -> None:
    assert item().json.startswith(b'{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"7","name":"p"')


def test_it_is_rendered_once() -> None:
    once = item()
    assert once.json is once.json


@given(st.integers(1, 2**63), st.text(max_size=20))
def test_stored_bytes_survive_rendering(revision: int, note: str) -> None:
    value = stored(spec={"note": note})
    rendered = item(revision, value)
    assert rendered.value == value
    assert json.loads(rendered.json)["metadata"]["resourceVersion"] == str(revision)
    assert rendered.value == value
    assert rendered.size == len(value)


def test_what_is_not_stored_has_no_version() -> None:
    assert item(0).json == stored()
    assert item(0).value == stored()


def test_the_same_content_at_another_revision() -> None:
    first = item(7)
    assert json.loads(first.at(9).json)["metadata"]["resourceVersion"] == "9"
    assert json.loads(first.json)["metadata"]["resourceVersion"] == "7"


def test_trees_are_shared_and_fresh_ones_are_not() -> None:
    once = item()
    assert once.tree() is once.tree()
    assert once.fresh_tree() is not once.fresh_tree()
    once.forget_decoded()
    assert once.tree()["metadata"]["name"] == "p"


def test_the_head_is_the_same_before_and_after_rendering() -> None:
    value = stored(spec={"nodeName": "n", "hostNetwork": True}, status={"phase": "Running"})
    fresh, rendered = item(7, value), item(7, value)
    assert rendered.json
    assert fresh.head == rendered.head
    assert fresh.head.labels == {"a": "b"}
    assert fresh.head.fields["spec.nodeName"] == "n"
    assert fresh.head.fields["spec.hostNetwork"] == "true"
    assert fresh.head.fields["metadata.namespace"] == "d"


def test_absent_fields_have_their_defaults() -> None:
    fields = item().head.fields
    assert (fields["spec.hostNetwork"], fields["status.phase"], fields["spec.nodeName"]) == ("false", "", "")
