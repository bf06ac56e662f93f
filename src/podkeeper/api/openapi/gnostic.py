"""The version 2 document in the protobuf form that client-go asks for (gnostic's openapi.v2.Document).

Source of the field numbers: openapiv2/OpenAPIv2.proto of google/gnostic-models. Definitions are carried whole,
paths are not: clients of this form look up types in it, and find operations in version 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWER_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_LENGTH_DELIMITED = 2


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of a version 2 document, as ``v2.document`` builds it."""
    info = document["info"]
    definitions = b"".join(_named(1, name, _schema(tree)) for name, tree in document["definitions"].items())
    return b"".join(
        (
            _text(1, document["swagger"]),
            _field(2, _text(1, info["title"]) + _text(2, info["version"])),
            _field(8, b""),
            _field(9, definitions),
        )
    )


def _schema(tree: Mapping[str, Any]) -> bytes:
    parts = [_text(1, tree.get("$ref", "")), _text(2, tree.get("format", "")), _text(4, tree.get("description", ""))]
    parts += [_text(19, name) for name in tree.get("required", ())]
    if "additionalProperties" in tree:
        parts.append(_field(21, _field(1, _schema(tree["additionalProperties"]))))
    if "type" in tree:
        parts.append(_field(22, _text(1, tree["type"])))
    if "items" in tree:
        parts.append(_field(23, _field(1, _schema(tree["items"]))))
    if "properties" in tree:
        named = b"".join(_named(1, name, _schema(each)) for name, each in tree["properties"].items())
        parts.append(_field(25, named))
    parts += _extensions(tree)
    return b"".join(parts)


def _extensions(tree: Mapping[str, Any]) -> Iterable[bytes]:
    for name, value in tree.items():
        if name.startswith("x-"):
            yaml = msgspec.json.encode(value).decode()  # JSON is YAML
            yield _named(31, name, _text(2, yaml))


def _named(number: int, name: str, value: bytes) -> bytes:
    return _field(number, _text(1, name) + _field(2, value))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode()) if text else b""


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
