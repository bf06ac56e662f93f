"""The protobuf form of version 3 documents, taken apart again by the published field numbers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from podkeeper.api import openapi
from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi import gnostic_third
from podkeeper.api.resources import RESOURCES

Message = dict[int, list[Any]]
METHODS = {4: "get", 5: "put", 6: "post", 7: "delete", 8: "options", 9: "head", 10: "patch"}
TEXTS = {9: "title", 17: "pattern", 25: "type", 34: "description", 35: "format"}
FLAGS = {1: "nullable", 12: "exclusiveMaximum", 14: "exclusiveMinimum", 20: "uniqueItems"}
NUMBERS = {10: "multipleOf", 11: "maximum", 13: "minimum"}
COUNTS = {15: "maxLength", 16: "minLength", 18: "maxItems", 19: "minItems", 21: "maxProperties", 22: "minProperties"}
CHOICES = {26: "allOf", 27: "oneOf", 28: "anyOf"}


def message(data: bytes) -> Message:
    """Fields by number."""
    found: Message = {}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 1:
            value: Any = struct.unpack_from("<d", data, at)[0]
            at += 8
        else:
            value, at = varint(data, at)
            if key & 7 == 2:
                value, at = data[at : at + value], at + value
        found.setdefault(key >> 3, []).append(value)
    assert at == len(data)
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def pairs(entries: list[bytes]) -> Iterator[tuple[str, Message]]:
    for entry in entries:
        found = message(entry)
        yield found[1][0].decode(), message(found.get(2, [b""])[0])


def extensions(found: Message, number: int) -> dict[str, Any]:
    return {name: json.loads(value[2][0]) for name, value in pairs(found.get(number, []))}


def schema(found: Message) -> dict[str, Any]:
    """The tree that a SchemaOrReference message was made from."""
    if 2 in found:
        return {"$ref": message(found[2][0])[1][0].decode()}
    return plain(message(found[1][0]))


def plain(found: Message) -> dict[str, Any]:
    tree: dict[str, Any] = extensions(found, 36)
    tree |= {name: found[place][0].decode() for place, name in TEXTS.items() if place in found}
    tree |= {name: True for place, name in FLAGS.items() if place in found}
    tree |= {name: found[place][0] for place, name in (NUMBERS | COUNTS).items() if place in found}
    tree |= {
        name: [schema(message(each)) for each in found[place]] for place, name in CHOICES.items() if place in found
    }
    if 23 in found:
        tree["required"] = [each.decode() for each in found[23]]
    if 24 in found:
        tree["enum"] = [json.loads(message(each)[2][0]) for each in found[24]]
    if 29 in found:
        tree["not"] = plain(message(found[29][0]))
    if 30 in found:
        tree["items"] = schema(message(message(found[30][0])[1][0]))
    if 31 in found:
        tree["properties"] = {name: schema(each) for name, each in pairs(message(found[31][0])[1])}
    if 32 in found:
        either = message(found[32][0])
        tree["additionalProperties"] = schema(message(either[1][0])) if 1 in either else bool(either[2][0])
    if 33 in found:
        tree["default"] = default(message(found[33][0]))
    return tree


def default(found: Message) -> Any:
    if 3 in found:
        return found[3][0].decode()
    if 2 in found:
        return bool(found[2][0])
    return found[1][0] if 1 in found else {}


def parameter(data: bytes) -> dict[str, Any]:
    found = message(message(data)[1][0])
    tree: dict[str, Any] = {"name": found[1][0].decode(), "in": found[2][0].decode()}
    tree |= {"required": True} if 4 in found else {}
    return tree | {"schema": schema(message(found[10][0]))}


def contents(data: bytes) -> dict[str, Any]:
    return {name: {"schema": schema(message(each[1][0]))} for name, each in pairs(message(data)[1])}


def operation(found: Message) -> dict[str, Any]:
    tree: dict[str, Any] = extensions(found, 13)
    tree |= {"tags": [each.decode() for each in found[1]], "operationId": found[5][0].decode(), "responses": {}}
    if 6 in found:
        tree["parameters"] = [parameter(each) for each in found[6]]
    if 7 in found:
        body = message(message(found[7][0])[1][0])
        tree["requestBody"] = {"content": contents(body[2][0])} | ({"required": True} if 3 in body else {})
    for code, either in pairs(message(found[8][0])[2]):
        answer = message(either[1][0])
        tree["responses"][code] = {"description": answer[1][0].decode()}
        if 3 in answer:
            tree["responses"][code]["content"] = contents(answer[3][0])
    return tree


def path_item(found: Message) -> dict[str, Any]:
    tree: dict[str, Any] = {METHODS[place]: operation(message(each[0])) for place, each in found.items() if place != 13}
    return tree | ({"parameters": [parameter(each) for each in found[13]]} if 13 in found else {})


def widget() -> Resource:
    spec = {
        "type": "object",
        "nullable": True,
        "properties": {
            "size": {"type": "integer", "minimum": 1.5, "maximum": 9.0, "exclusiveMaximum": True, "default": 3.0},
            "name": {"type": "string", "maxLength": 5, "pattern": "^a$", "enum": ["a", None], "default": ""},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3, "uniqueItems": True},
            "open": {"type": "object", "additionalProperties": True},
            "shut": {"type": "object", "additionalProperties": False, "x-kubernetes-preserve-unknown-fields": True},
            "on": {"type": "boolean", "default": False},
            "port": {"x-kubernetes-int-or-string": True, "not": {"type": "number", "multipleOf": 2.0}},
        },
        "oneOf": [{"required": ["size"]}, {"required": ["name"]}],
    }
    root = {"type": "object", "properties": {"spec": spec}}
    return Resource("example.com", "v1", "widgets", "Widget", "widget", True, ("get", "list"), schema=root)


@pytest.mark.parametrize(
    "name", ["api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1", "apis", "apis/example.com/v1"]
)
def test_documents_come_back_whole(name: str) -> None:
    rows = [*(row for row in RESOURCES if row.enabled), widget()]
    tree = openapi.v3_document(openapi.v3_documents(rows)[name], "v1.36.0", rows)
    found = message(gnostic_third.encode(tree))
    assert found[1] == [b"3.0.0"]
    assert message(found[2][0]) == {1: [b"Kubernetes"], 6: [b"v1.36.0"]}
    assert {path: path_item(each) for path, each in pairs(message(found[4][0])[1])} == tree["paths"]
    components = message(found[5][0])
    schemas = {each: schema(value) for each, value in pairs(message(components.get(1, [b""])[0]).get(1, []))}
    assert schemas == tree["components"]["schemas"]
    [(key, security)] = pairs(message(components[7][0])[1])
    assert (key, message(security[1][0])) == ("BearerToken", {1: [b"apiKey"], 3: [b"authorization"], 4: [b"header"]})
