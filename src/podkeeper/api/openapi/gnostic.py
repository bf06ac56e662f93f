"""The version 2 document in the protobuf form that client-go asks for (gnostic's openapi.v2.Document).

Source of the field numbers: openapiv2/OpenAPIv2.proto of google/gnostic-models. Of the many fields those are written
that our documents have.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWER_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

Tree = Mapping[str, Any]

_VARINT, _FIXED_64, _LENGTH_DELIMITED = 0, 1, 2
#: Of a Schema, by the way in which they are written.
_TEXTS = ((1, "$ref"), (2, "format"), (3, "title"), (4, "description"), (13, "pattern"))
_NUMBERS = ((6, "multipleOf"), (7, "maximum"), (9, "minimum"))
_FLAGS = ((8, "exclusiveMaximum"), (10, "exclusiveMinimum"))
_COUNTS = (
    (11, "maxLength"),
    (12, "minLength"),
    (14, "maxItems"),
    (15, "minItems"),
    (17, "maxProperties"),
    (18, "minProperties"),
)
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
#: Of NonBodyParameter, by place; and where ``type`` and ``uniqueItems`` are in the message of that place.
_PLACES = {"query": (3, 6, 20), "path": (4, 5, 19)}


def encode(document: Tree) -> bytes:
    """The bytes of a version 2 document, as ``v2.document`` builds it."""
    info = document["info"]
    paths = b"".join(_named(2, path, _path_item(tree)) for path, tree in document["paths"].items())
    definitions = b"".join(_named(1, name, _schema(tree)) for name, tree in document["definitions"].items())
    return b"".join(
        (
            _text(1, document["swagger"]),
            _field(2, _text(1, info["title"]) + _text(2, info["version"])),
            _field(8, paths),
            _field(9, definitions),
            *(_field(12, _named(1, name, b"")) for each in document["security"] for name in each),
            _field(13, b"".join(_security(name, tree) for name, tree in document["securityDefinitions"].items())),
        )
    )


def _path_item(tree: Tree) -> bytes:
    methods = b"".join(_field(_METHODS[name], _operation(each)) for name, each in tree.items() if name in _METHODS)
    return methods + b"".join(_parameter(9, each) for each in tree.get("parameters", ()))


def _operation(tree: Tree) -> bytes:
    parts = [_text(1, tag) for tag in tree["tags"]]
    parts.append(_text(5, tree["operationId"]))
    parts += [_text(6, name) for name in tree["produces"]]
    parts += [_text(7, name) for name in tree.get("consumes", ())]
    parts += [_parameter(8, each) for each in tree.get("parameters", ())]
    parts.append(_field(9, b"".join(_named(1, code, _response(each)) for code, each in tree["responses"].items())))
    parts += [_text(10, name) for name in tree["schemes"]]
    return b"".join([*parts, *_extensions(13, tree)])


def _response(tree: Tree) -> bytes:
    schema = _field(2, _field(1, _schema(tree["schema"]))) if "schema" in tree else b""
    return _field(1, _text(1, tree["description"]) + schema)


def _parameter(number: int, tree: Tree) -> bytes:
    place, required = tree["in"], tree.get("required", False)
    if place == "body":
        body = _text(2, tree["name"]) + _text(3, place) + _true(4, required) + _field(5, _schema(tree["schema"]))
        return _field(number, _field(1, _field(1, body)))
    message, kind, unique = _PLACES[place]
    found = _true(1, required) + _text(2, place) + _text(4, tree["name"])
    found += _text(kind, tree["type"]) + _true(unique, tree.get("uniqueItems", False))
    return _field(number, _field(1, _field(2, _field(message, found))))


def _security(name: str, tree: Tree) -> bytes:
    key = _text(1, tree["type"]) + _text(2, tree["name"]) + _text(3, tree["in"])
    return _named(1, name, _field(2, key))


def _schema(tree: Tree) -> bytes:
    parts = [_text(number, tree.get(name, "")) for number, name in _TEXTS]
    if "default" in tree:
        parts.append(_field(5, _text(2, _yaml(tree["default"]))))
    parts += [_number(number, tree[name]) for number, name in _NUMBERS if tree.get(name) is not None]
    parts += [_true(number, bool(tree.get(name))) for number, name in _FLAGS]
    parts += [_count(number, tree[name]) for number, name in _COUNTS if tree.get(name) is not None]
    parts += [_field(20, _text(2, _yaml(each))) for each in tree.get("enum") or ()]
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
    return b"".join([*parts, *_extensions(31, tree)])


def _extensions(number: int, tree: Tree) -> Iterable[bytes]:
    for name, value in tree.items():
        if name.startswith("x-"):
            yield _named(number, name, _text(2, _yaml(value)))


def _yaml(value: Any) -> str:
    return msgspec.json.encode(value).decode()  # JSON is YAML


def _number(number: int, value: float) -> bytes:
    return _varint(number << 3 | _FIXED_64) + struct.pack("<d", value)


def _count(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)


def _named(number: int, name: str, value: bytes) -> bytes:
    return _field(number, _text(1, name) + _field(2, value))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode()) if text else b""


def _true(number: int, value: bool) -> bytes:
    return _varint(number << 3 | _VARINT) + b"\x01" if value else b""


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
