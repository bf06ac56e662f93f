"""A version 3 document in the protobuf form that client-go can ask for (gnostic's openapi.v3.Document).

Source of the field numbers: openapiv3/OpenAPIv3.proto of google/gnostic-models. Of the many fields those are written
that our documents, and schemas of custom resources, have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podkeeper.api.openapi.writing import count, extensions, field, named, number, text, true, yaml

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
ANSWER_TYPE = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"

Tree = Mapping[str, Any]

_METHODS = {"get": 4, "put": 5, "post": 6, "delete": 7, "options": 8, "head": 9, "patch": 10}
#: Of a Schema, by the way in which they are written.
_TEXTS = ((9, "title"), (17, "pattern"), (25, "type"), (34, "description"), (35, "format"))
_NUMBERS = ((10, "multipleOf"), (11, "maximum"), (13, "minimum"))
_FLAGS = ((1, "nullable"), (12, "exclusiveMaximum"), (14, "exclusiveMinimum"), (20, "uniqueItems"))
_COUNTS = (
    (15, "maxLength"),
    (16, "minLength"),
    (18, "maxItems"),
    (19, "minItems"),
    (21, "maxProperties"),
    (22, "minProperties"),
)
_CHOICES = ((26, "allOf"), (27, "oneOf"), (28, "anyOf"))


def encode(document: Tree) -> bytes:
    """The bytes of a version 3 document, as ``v3.document`` builds it."""
    info, components = document["info"], document["components"]
    paths = b"".join(named(1, path, _path_item(tree)) for path, tree in document["paths"].items())
    schemas = b"".join(named(1, name, _schema(tree)) for name, tree in components["schemas"].items())
    keys = b"".join(named(1, name, _security(tree)) for name, tree in components["securitySchemes"].items())
    return b"".join(
        (
            text(1, document["openapi"]),
            field(2, text(1, info["title"]) + text(6, info["version"])),
            field(4, paths),
            field(5, field(1, schemas) + field(7, keys)),
        )
    )


def _security(tree: Tree) -> bytes:
    return field(1, text(1, tree["type"]) + text(3, tree["name"]) + text(4, tree["in"]))


def _path_item(tree: Tree) -> bytes:
    methods = b"".join(field(_METHODS[name], _operation(each)) for name, each in tree.items() if name in _METHODS)
    return methods + b"".join(_parameter(13, each) for each in tree.get("parameters", ()))


def _operation(tree: Tree) -> bytes:
    parts = [text(1, tag) for tag in tree["tags"]]
    parts.append(text(5, tree["operationId"]))
    parts += [_parameter(6, each) for each in tree.get("parameters", ())]
    body = tree.get("requestBody")
    if body is not None:
        parts.append(field(7, field(1, field(2, _contents(body["content"])) + true(3, body.get("required", False)))))
    parts.append(field(8, b"".join(named(2, code, _response(each)) for code, each in tree["responses"].items())))
    return b"".join([*parts, *extensions(13, tree)])


def _response(tree: Tree) -> bytes:
    content = field(3, _contents(tree["content"])) if tree.get("content") else b""
    return field(1, text(1, tree["description"]) + content)


def _contents(tree: Tree) -> bytes:
    return b"".join(named(1, media, field(1, _schema(each["schema"]))) for media, each in tree.items())


def _parameter(place: int, tree: Tree) -> bytes:
    found = text(1, tree["name"]) + text(2, tree["in"]) + true(4, tree.get("required", False))
    return field(place, field(1, found + field(10, _schema(tree["schema"]))))


def _schema(tree: Tree) -> bytes:
    """A Schema or a Reference."""
    return field(2, text(1, tree["$ref"])) if "$ref" in tree else field(1, b"".join(_parts(tree)))


def _parts(tree: Tree) -> Iterable[bytes]:
    yield from (true(place, bool(tree.get(name))) for place, name in _FLAGS)
    yield from (text(place, tree.get(name) or "") for place, name in _TEXTS)
    yield from (number(place, tree[name]) for place, name in _NUMBERS if tree.get(name) is not None)
    yield from (count(place, tree[name]) for place, name in _COUNTS if tree.get(name) is not None)
    yield from (text(23, name) for name in tree.get("required") or ())
    yield from (field(24, text(2, yaml(each))) for each in tree.get("enum") or ())
    for place, name in _CHOICES:
        yield from (field(place, _schema(each)) for each in tree.get(name) or ())
    if tree.get("not"):
        yield field(29, b"".join(_parts(tree["not"])))
    if tree.get("items"):
        yield field(30, field(1, _schema(tree["items"])))
    if tree.get("properties"):
        yield field(31, b"".join(named(1, name, _schema(each)) for name, each in tree["properties"].items()))
    if "additionalProperties" in tree:
        yield field(32, _additional(tree["additionalProperties"]))
    if "default" in tree:
        yield field(33, _default(tree["default"]))
    yield from extensions(36, tree)


def _additional(tree: Tree | bool) -> bytes:
    if isinstance(tree, bool):
        return b"\x10\x01" if tree else b"\x10\x00"
    return field(1, _schema(tree))


def _default(value: Any) -> bytes:
    """A DefaultType, which has no words for objects and lists."""
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int | float):
        return number(1, value)
    return field(3, value.encode()) if isinstance(value, str) else b""
