"""The version 2 document in the protobuf form that client-go asks for (gnostic's openapi.v2.Document).

Source of the field numbers: openapiv2/OpenAPIv2.proto of google/gnostic-models. Of the many fields those are written
that our documents have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.api.openapi.writing import count, extensions, field, named, number, text, true, yaml

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWER_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

Tree = Mapping[str, Any]

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
    """The bytes of a version 2 document, as ``v2.document`` builds it; also with parts of other servers' documents.

    Raises AttributeError, KeyError or TypeError for a part of another form."""
    info = document["info"]
    paths = b"".join(named(2, path, _path_item(tree)) for path, tree in document["paths"].items())
    definitions = b"".join(named(1, name, _schema(tree)) for name, tree in document["definitions"].items())
    return b"".join(
        (
            text(1, document["swagger"]),
            field(2, text(1, info["title"]) + text(2, info["version"])),
            field(8, paths),
            field(9, definitions),
            *(field(12, named(1, name, b"")) for each in document["security"] for name in each),
            field(13, b"".join(_security(name, tree) for name, tree in document["securityDefinitions"].items())),
        )
    )


def _path_item(tree: Tree) -> bytes:
    methods = b"".join(field(_METHODS[name], _operation(each)) for name, each in tree.items() if name in _METHODS)
    return methods + b"".join(_parameter(9, each) for each in tree.get("parameters", ()))


def _operation(tree: Tree) -> bytes:
    parts = [text(1, tag) for tag in tree.get("tags", ())]
    parts += [text(3, tree.get("description", "")), text(5, tree.get("operationId", ""))]
    parts += [text(6, name) for name in tree.get("produces", ())]
    parts += [text(7, name) for name in tree.get("consumes", ())]
    parts += [_parameter(8, each) for each in tree.get("parameters", ())]
    parts.append(field(9, b"".join(named(1, code, _response(each)) for code, each in tree["responses"].items())))
    parts += [text(10, name) for name in tree.get("schemes", ())]
    return b"".join([*parts, *extensions(13, tree)])


def _response(tree: Tree) -> bytes:
    schema = field(2, field(1, _schema(tree["schema"]))) if "schema" in tree else b""
    return field(1, text(1, tree["description"]) + schema)


def _parameter(number: int, tree: Tree) -> bytes:
    place, required = tree["in"], tree.get("required", False)
    if place == "body":
        body = (
            text(1, tree.get("description", ""))
            + text(2, tree["name"])
            + text(3, place)
            + true(4, required)
            + field(5, _schema(tree["schema"]))
        )
        return field(number, field(1, field(1, body)))
    message, kind, unique = _PLACES[place]
    found = true(1, required) + text(2, place) + text(3, tree.get("description", "")) + text(4, tree["name"])
    found += text(kind, tree["type"]) + true(unique, tree.get("uniqueItems", False))
    return field(number, field(1, field(2, field(message, found))))


def _security(name: str, tree: Tree) -> bytes:
    key = text(1, tree["type"]) + text(2, tree["name"]) + text(3, tree["in"])
    return named(1, name, field(2, key))


def _schema(tree: Tree) -> bytes:
    parts = [text(place, tree.get(name, "")) for place, name in _TEXTS]
    if "default" in tree:
        parts.append(field(5, text(2, yaml(tree["default"]))))
    parts += [number(place, tree[name]) for place, name in _NUMBERS if tree.get(name) is not None]
    parts += [true(place, bool(tree.get(name))) for place, name in _FLAGS]
    parts += [count(place, tree[name]) for place, name in _COUNTS if tree.get(name) is not None]
    parts += [field(20, text(2, yaml(each))) for each in tree.get("enum") or ()]
    parts += [text(19, name) for name in tree.get("required", ())]
    if "additionalProperties" in tree:
        parts.append(field(21, _additional(tree["additionalProperties"])))
    if "type" in tree:
        parts.append(field(22, text(1, tree["type"])))
    if "items" in tree:
        parts.append(field(23, field(1, _schema(tree["items"]))))
    if "properties" in tree:
        members = b"".join(named(1, name, _schema(each)) for name, each in tree["properties"].items())
        parts.append(field(25, members))
    return b"".join([*parts, *extensions(31, tree)])


def _additional(tree: Tree | bool) -> bytes:
    if isinstance(tree, bool):
        return b"\x10\x01" if tree else b"\x10\x00"
    return field(1, _schema(tree))
