"""The forms that the wire demands of times, bytes and quantities, and documents made to hurt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podkeeper.api import codec
from podkeeper.api.apiextensions import v1 as apiextensions
from podkeeper.api.core import v1

GOOD_TIMES = ("2006-01-02T15:04:05Z", "2024-12-31T23:59:59Z", "2024-02-29T00:00:00Z")
BAD_TIMES = ("", "yesterday", "2006-13-02T15:04:05Z", "2006-01-02T25:04:05Z", "2006-01-02t15:04:05z", "2006-01-02", "٢")
GOOD_BASE64 = ("", "YWJj", "YWI=", "YQ==", "YWJj\nZGVm\n", "Y\r\nWI=\n")
BAD_BASE64 = ("YWJ", "YQ=", "Y===", "YQ==YQ==", "a-_b", "é", "YWJj ")


@pytest.mark.parametrize("text", GOOD_TIMES)
def test_a_time_is_kept_as_it_was_written(text: str) -> None:
    read = codec.from_tree(v1.Pod, {"metadata": {"creationTimestamp": text}})
    assert read.metadata.creation_timestamp == text


@pytest.mark.parametrize("text", [*BAD_TIMES, GOOD_TIMES[0] + "\n"])
def test_a_text_that_is_no_time_is_refused_in_plain_words(text: str) -> None:
    with pytest.raises(codec.WrongType) as caught:
        codec.from_tree(v1.Pod, {"metadata": {"creationTimestamp": text}})
    assert caught.value.path == "metadata.creationTimestamp"
    assert "RFC 3339" in caught.value.reason


@pytest.mark.parametrize("text", GOOD_BASE64)
def test_bytes_are_base64_with_line_breaks_anywhere(text: str) -> None:
    assert codec.from_tree(v1.Secret, {"data": {"a": text}}).data == {"a": text}


@pytest.mark.parametrize("text", BAD_BASE64)
def test_bytes_that_are_not_base64_are_refused(text: str) -> None:
    with pytest.raises(codec.WrongType, match="illegal base64"):
        codec.decode(v1.Secret, json.dumps({"data": {"a": text}}).encode())


@pytest.mark.parametrize("value", [True, [], "1Q", ""])
def test_what_is_no_quantity_is_refused(value: Any) -> None:
    with pytest.raises(codec.WrongType):
        codec.from_tree(v1.PodSpec, {"overhead": {"cpu": value}})


def test_null_is_a_zero_value_in_lists_and_maps_and_stays_in_free_form_json() -> None:
    container = {"name": "c", "args": [None], "resources": {"limits": {"cpu": None}}}
    read = codec.from_tree(v1.Pod, {"metadata": {"labels": {"a": None}}, "spec": {"containers": [container, None]}})
    assert read.metadata.labels == {"a": ""}
    assert read.spec.containers[0].args == ("",)
    assert str(read.spec.containers[0].resources.limits["cpu"]) == "0"
    assert read.spec.containers[1] == v1.Container()
    schema = codec.from_tree(apiextensions.JSONSchemaProps, {"default": {"a": None}, "title": None})
    assert codec.to_tree(schema) == {"default": {"a": None}}


@pytest.mark.parametrize("data", [b"", b"{", b'"\xff"', b"{}{}", b"[" * 5000 + b"]" * 5000, b"\xef\xbb\xbf{}"])
def test_bytes_that_are_not_json_are_refused(data: bytes) -> None:
    for read in (codec.parse, lambda each: codec.decode(v1.Pod, each)):
        with pytest.raises(codec.MalformedJson):
            read(data)


def test_large_whole_numbers_stay_exact() -> None:
    assert codec.parse(b'{"a":123456789012345678901234567890}') == {"a": 123456789012345678901234567890}


def nested_schema(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"titel": "innermost"}
    for _ in range(depth):
        tree = {"properties": {"a": tree}}
    return tree


def test_deep_nesting_is_walked_without_a_deep_stack() -> None:
    tree = nested_schema(400)
    assert list(codec.unknown_fields(apiextensions.JSONSchemaProps, tree)) == ["properties.a." * 400 + "titel"]


@pytest.mark.parametrize("extra", [{}, {"title": None}])
def test_nesting_too_deep_for_a_struct_is_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(codec.WrongType, match="nested too deeply"):
        codec.from_tree(apiextensions.JSONSchemaProps, {**nested_schema(5000), **extra})


def test_unknown_fields_come_in_the_documents_order_and_wrong_types_are_passed_over() -> None:
    tree = {"z": 1, "spec": {"containers": [{"name": "c", "y": 1}, "text"], "volumes": 3, "x": None}, "a": 1}
    assert list(codec.unknown_fields(v1.Pod, tree)) == ["z", "spec.containers[0].y", "spec.x", "a"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z"),
        ("2024-02-29T23:30:00.999-01:00", "2024-03-01T00:30:00Z"),
        ("2024-01-01T00:00:00,5Z", "2024-01-01T00:00:00Z"),
    ],
)
def test_times_become_what_go_writes(given: str, kept: str) -> None:
    tree = {
        "metadata": {"creationTimestamp": given, "managedFields": [{"time": given}]},
        "status": {"startTime": given},
    }
    for pod in (codec.from_tree(v1.Pod, tree), codec.decode(v1.Pod, json.dumps(tree).encode())):
        assert pod.metadata.creation_timestamp == pod.metadata.managed_fields[0].time == pod.status.start_time == kept


def test_micro_times_keep_their_six_digits() -> None:
    event = codec.from_tree(v1.Event, {"eventTime": "2024-01-01T02:00:00,000100+02:00", "involvedObject": {}})
    assert event.event_time == "2024-01-01T00:00:00.000100Z"
    with pytest.raises(codec.WrongType):
        codec.from_tree(v1.Event, {"eventTime": "2024-01-01T02:00:00Z", "involvedObject": {}})


@pytest.mark.parametrize("text", ["2024-02-30T00:00:00Z", "2024-04-31T00:00:00+01:00", "2023-02-29T00:00:00.5Z"])
def test_days_that_no_month_has_are_refused(text: str) -> None:
    with pytest.raises(codec.WrongType):
        codec.from_tree(v1.Pod, {"metadata": {"creationTimestamp": text}})
