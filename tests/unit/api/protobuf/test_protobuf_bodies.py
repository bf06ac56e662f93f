"""Bodies: the envelope, lists and watch frames, and bytes that are wrong in every way."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api import protobuf
from podkeeper.api.protobuf import ProtobufError
from podkeeper.api.protobuf.wire import BYTES, FIXED32, FIXED64, START_GROUP, VARINT, prefixed, read_varint, tag, varint

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"a": "b"}, "creationTimestamp": "2026-01-02T03:04:05Z"},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "nginx",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "100m"}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 10},
                "securityContext": {"privileged": False},
            }
        ],
        "terminationGracePeriodSeconds": 0,
    },
    "status": {"phase": "Running"},
}


def text(number: int, value: bytes | str) -> bytes:
    return prefixed(tag(number, BYTES), value.encode() if isinstance(value, str) else value)


def namespace(*parts: bytes) -> dict[str, Any]:
    """A Namespace whose metadata are these fields."""
    metadata: dict[str, Any] = protobuf.decode(protobuf.wrap("v1", "Namespace", text(1, b"".join(parts))))["metadata"]
    return metadata


def test_an_object_is_the_same_after_both_ways_but_for_what_go_always_shows() -> None:
    read = protobuf.decode(protobuf.encode(POD))
    assert read == POD


def test_json_bytes_are_as_good_as_trees() -> None:
    import msgspec

    assert protobuf.encode(msgspec.json.encode(POD)) == protobuf.encode(POD)


def test_the_envelope_names_version_and_kind() -> None:
    body = protobuf.wrap("apps/v1", "Deployment", b"")
    names = text(1, "apps/v1") + text(2, "Deployment")
    assert body == b"k8s\0" + text(1, names) + text(2, b"") + text(3, b"") + text(4, b"")


def test_a_list_is_joined_of_messages_that_were_kept() -> None:
    items = [protobuf.message("v1", "Pod", POD)] * 3
    metadata = {"resourceVersion": "7", "continue": "token", "remainingItemCount": 5}
    body = protobuf.join("v1", "PodList", metadata, items)
    bare = {key: value for key, value in POD.items() if key not in ("apiVersion", "kind")}
    tree = {"apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": [bare] * 3}
    assert protobuf.decode(body) == tree
    assert protobuf.encode(tree) == body


def test_partial_metadata_lists_have_their_fields_in_another_order_in_v1beta1() -> None:
    item = protobuf.message("meta.k8s.io/v1beta1", "PartialObjectMetadata", {"metadata": {"name": "a"}})
    for version in ("v1", "v1beta1"):
        body = protobuf.join(f"meta.k8s.io/{version}", "PartialObjectMetadataList", {"resourceVersion": "7"}, [item])
        read = protobuf.decode(body)
        assert (read["metadata"], read["items"]) == ({"resourceVersion": "7"}, [{"metadata": {"name": "a"}}])


def test_a_frame_is_an_event_around_a_body() -> None:
    body = protobuf.encode(POD)
    frame = protobuf.frame("ADDED", body)
    (length,) = struct.unpack_from(">I", frame)
    assert length == len(frame) - 4
    event = protobuf.decode(protobuf.wrap("v1", "WatchEvent", frame[4:]))
    assert event == {"apiVersion": "v1", "kind": "WatchEvent", "type": "ADDED", "object": POD}


def test_status_and_options_are_kinds_of_every_version() -> None:
    status = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": 404}
    assert protobuf.decode(protobuf.encode(status)) == status
    for version in ("v1", "apps/v1", "policy/v1beta1"):
        options = {"apiVersion": version, "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        assert protobuf.decode(protobuf.encode(options)) == options


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Container"),
        ("meta.k8s.io/v1", "Table"),
        ("apps/v9", "Deployment"),
        ("apps.example.com/v1", "Deployment"),
        ("example.com/v1", "DeleteOptions"),
        ("", ""),
    ],
)
def test_what_has_no_message_is_refused(api_version: str, kind: str) -> None:
    assert not protobuf.is_kind(api_version, kind)
    with pytest.raises(ProtobufError, match="no kind"):
        protobuf.encode({"apiVersion": api_version, "kind": kind})
    with pytest.raises(ProtobufError, match="no kind"):
        protobuf.decode(protobuf.wrap(api_version, kind, b""))


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (b"\x0a", "unexpected EOF"),
        (b"\x0a\x05web", "unexpected EOF"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "unexpected EOF"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "negative length"),
        (b"\x0a\x80", "unexpected EOF"),
        (b"\x38" + b"\xff" * 11, "integer overflow"),
        (b"\x38" + b"\x80" * 4, "unexpected EOF"),
        (tag(1, VARINT) + b"\x05", "wrong wireType = 0 for field Name"),
        (tag(7, BYTES) + b"\x00", "wrong wireType = 2 for field Generation"),
        (b"\x02\x00", "illegal tag 0"),
        (b"\x0c", "end group"),
        (tag(99, 6) + b"\x00", "illegal wireType 6"),
        (tag(99, FIXED64) + b"1234567", "unexpected EOF"),
        (tag(99, START_GROUP), "unexpected EOF"),
        (b"\x0a\x02\xff\xfe", "utf-8"),
        (b"\x5a\x05\x0a\x03abc\x12", "unexpected EOF"),
    ],
)
def test_malformed_messages_are_refused(field: bytes, complaint: str) -> None:
    with pytest.raises(ProtobufError, match=complaint):
        namespace(field)


@pytest.mark.parametrize(
    "unknown",
    [
        tag(99, VARINT) + b"\xff\x01",
        text(99, b"newer"),
        tag(99, FIXED64) + b"12345678",
        tag(99, FIXED32) + b"1234",
        tag(99, START_GROUP) + tag(1, VARINT) + b"\x05" + tag(2, START_GROUP) + tag(2, 4) + tag(99, 4),
    ],
)
def test_fields_of_a_newer_release_are_passed_over(unknown: bytes) -> None:
    assert namespace(text(1, "a"), unknown, text(3, "b")) == {"name": "a", "namespace": "b"}


def test_of_a_field_that_stands_twice_the_last_counts_and_messages_are_merged() -> None:
    assert namespace(text(1, "a"), text(1, "b"), tag(7, VARINT) + b"\5", tag(7, VARINT) + b"\0") == {"name": "b"}
    twice = text(1, text(1, "a") + text(3, "x")) + text(1, text(1, "b"))
    read = protobuf.decode(protobuf.wrap("v1", "Namespace", twice))
    assert read["metadata"] == {"name": "b", "namespace": "x"}


def test_numbers_are_cut_as_go_cuts_them() -> None:
    replicas = tag(1, VARINT) + varint((1 << 32) + 5)
    read = protobuf.decode(protobuf.wrap("apps/v1", "Deployment", text(2, replicas)))
    assert read["spec"]["replicas"] == 5


def test_packed_numbers_are_read_too() -> None:
    context = text(4, varint(1000) + varint(2000)) + tag(4, VARINT) + varint(3)
    read = protobuf.decode(protobuf.wrap("v1", "Pod", text(2, text(14, context))))
    assert read["spec"]["securityContext"]["supplementalGroups"] == [1000, 2000, 3]


def test_ten_thousand_levels_are_refused_in_plain_words() -> None:
    schema = b""
    for _ in range(10_000):
        schema = text(28, schema)
    raw = text(2, text(7, text(1, "v1") + text(4, text(1, schema))))
    with pytest.raises(ProtobufError, match="max depth"):
        protobuf.decode(protobuf.wrap("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw))
    tree: dict[str, Any] = {}
    for _ in range(10_000):
        tree = {"not": tree}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": tree}}]
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    with pytest.raises(ProtobufError, match="max depth"):
        protobuf.encode({**definition, "spec": {"versions": versions}})


def test_deep_json_within_an_object_is_refused_in_plain_words() -> None:
    raw = text(2, text(1, b"[" * 100_000 + b"]" * 100_000))
    with pytest.raises(ProtobufError, match="max depth"):
        protobuf.decode(protobuf.wrap("apps/v1", "ControllerRevision", raw))


@pytest.mark.parametrize("body", [b"", b"{}", b"k8s", b"k8s\0", b"k8s\0\x0a\x05v1", b"k8s\0\x08\x01", b"k8s\0\x13"])
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(ProtobufError):
        protobuf.decode(body)


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_varints_survive(value: int) -> None:
    data = varint(value)
    assert read_varint(data, 0, len(data)) == (value, len(data))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bodies_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(protobuf.encode(POD))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body)))
        change = data.draw(st.binary(max_size=3))
        body[place : place + data.draw(st.integers(0, 4))] = change
    _read_or_refuse(bytes(body))


def test_damaged_examples_are_read_or_refused_and_nothing_else(facts: Path) -> None:
    paths = sorted((facts / "golden").glob("*.pb"))

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def damaged(data: st.DataObject) -> None:
        body = bytearray(data.draw(st.sampled_from(paths)).read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        _read_or_refuse(bytes(body[: data.draw(st.integers(len(body) // 2, len(body)))]))

    damaged()


def _read_or_refuse(body: bytes) -> None:
    try:
        tree = protobuf.decode(body)
    except ProtobufError:
        return
    assert protobuf.decode(protobuf.encode(tree)) == tree


@given(st.binary(max_size=60))
def test_rubbish_within_an_envelope_is_read_or_refused(raw: bytes) -> None:
    try:
        assert protobuf.decode(protobuf.wrap("v1", "Pod", raw))["kind"] == "Pod"
    except ProtobufError:
        return
