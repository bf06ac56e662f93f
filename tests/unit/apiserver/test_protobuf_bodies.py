"""Protobuf bodies: real messages made by hand, and the published examples where they are present."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api import resources
from podkeeper.apiserver.protobuf.decode import ProtobufError, decode
from podkeeper.apiserver.protobuf.wire import varint

#: A directory of the API's published example objects, GROUP.VERSION.KIND.json and .pb.
EXAMPLES = Path(os.environ.get("PODKEEPER_API_EXAMPLES", "/nonexistent"))


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(index: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return number(index << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(index << 3 | 2) + number(len(data)) + data


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def test_what_a_client_writes_becomes_the_object() -> None:
    metadata = field(1, "web") + field(2, "") + field(7, 0) + field(8, b"") + field(11, field(1, "a") + field(2, "b"))
    port = field(1, "") + field(2, 0) + field(3, 80) + field(4, "TCP")
    security = field(2, 0)  # privileged: false, on purpose
    container = field(1, "main") + field(2, "nginx") + field(6, port) + field(15, security) + field(8, b"")
    spec = field(2, container) + field(4, 0) + field(11, 0)
    tree = decode(body("v1", "Pod", field(1, metadata) + field(2, spec) + field(3, b"")))
    assert tree == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "nginx",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "securityContext": {"privileged": False},
                }
            ],
            "terminationGracePeriodSeconds": 0,
        },
    }


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_numbers_survive(value: int) -> None:
    data = number(value)
    assert varint(memoryview(data), 0) == (value, len(data))


@given(st.binary(max_size=60))
def test_rubbish_is_refused_or_read(data: bytes) -> None:
    raw = body("v1", "ConfigMap", data)
    try:
        tree = decode(raw)
    except ProtobufError:
        return
    assert tree["kind"] == "ConfigMap"


@pytest.mark.parametrize("raw", [b"", b"{}", b"k8s\0", body("v9", "Pod", b""), body("v1", "Nonsense", b"")])
def test_what_is_no_known_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtobufError):
        decode(raw)


def examples() -> list[Any]:
    return sorted(EXAMPLES.glob("*.pb"))


@pytest.mark.skipif(not examples(), reason="PODKEEPER_API_EXAMPLES names no directory of published examples")
@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_published_examples_are_the_same_in_both_formats(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_bytes())
    group, _, version = expected.get("apiVersion", "").rpartition("/")
    if resources.for_kind(group, version, expected.get("kind", "")) is None:
        return  # no resource of ours
    assert decode(path.read_bytes()) == expected
