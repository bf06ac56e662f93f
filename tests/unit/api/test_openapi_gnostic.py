"""The protobuf form of the version 2 document, taken apart again by the published field numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from podkeeper.api import openapi
from podkeeper.api.openapi import gnostic
from podkeeper.api.resources import RESOURCES

Message = dict[int, list[Any]]


@pytest.fixture(scope="module")
def tree() -> dict[str, Any]:
    return openapi.v2_document([row for row in RESOURCES if row.enabled], "v1.36.0")


@pytest.fixture(scope="module")
def document(tree: dict[str, Any]) -> Message:
    return message(gnostic.encode(tree))


def message(data: bytes) -> Message:
    """Fields by number; only varints and what has a length occur."""
    found: Message = {}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            found.setdefault(key >> 3, []).append(data[at : at + value])
            at += value
        else:
            assert key & 7 == 0
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


def named(entries: list[bytes]) -> dict[str, Message]:
    pairs = [message(entry) for entry in entries]
    return {pair[1][0].decode(): message(pair[2][0]) for pair in pairs}


def texts(values: list[bytes]) -> list[str]:
    return [value.decode() for value in values]


def extensions(found: Message, number: int) -> dict[str, Any]:
    return {name: json.loads(value[2][0]) for name, value in named(found.get(number, [])).items()}


def schema(found: Message) -> dict[str, Any]:
    """The tree that a Schema message was made from."""
    tree: dict[str, Any] = extensions(found, 31)
    for number, name in ((1, "$ref"), (2, "format"), (4, "description")):
        if number in found:
            tree[name] = found[number][0].decode()
    if 19 in found:
        tree["required"] = texts(found[19])
    if 21 in found:
        tree["additionalProperties"] = schema(message(message(found[21][0])[1][0]))
    if 22 in found:
        tree["type"] = message(found[22][0])[1][0].decode()
    if 23 in found:
        tree["items"] = schema(message(message(found[23][0])[1][0]))
    if 25 in found:
        tree["properties"] = {name: schema(each) for name, each in named(message(found[25][0]).get(1, [])).items()}
    return tree


def parameters(items: list[bytes]) -> Iterator[dict[str, Any]]:
    for item in items:
        parameter = message(message(item)[1][0])
        if 1 in parameter:
            body = message(parameter[1][0])
            assert body[3] == [b"body"]
            yield {"name": body[2][0].decode(), "in": "body", "schema": schema(message(body[5][0]))} | (
                {"required": True} if body.get(4) == [1] else {}
            )
            continue
        place, numbers = next(iter(message(parameter[2][0]).items()))
        found = message(numbers[0])
        kind, unique = {3: (6, 20), 4: (5, 19)}[place]
        assert found[2] == [{3: b"query", 4: b"path"}[place]]
        yield (
            {"name": found[4][0].decode(), "in": found[2][0].decode(), "type": found[kind][0].decode()}
            | ({"required": True} if found.get(1) == [1] else {})
            | ({"uniqueItems": True} if found.get(unique) == [1] else {})
        )


def operation(found: Message) -> dict[str, Any]:
    tree: dict[str, Any] = extensions(found, 13)
    tree |= {"tags": texts(found[1]), "operationId": found[5][0].decode(), "produces": texts(found[6])}
    tree |= {"schemes": texts(found[10]), "responses": {}}
    if 7 in found:
        tree["consumes"] = texts(found[7])
    if 8 in found:
        tree["parameters"] = list(parameters(found[8]))
    for code, value in named(message(found[9][0])[1]).items():
        response = message(value[1][0])
        tree["responses"][code] = {"description": response[1][0].decode()}
        if 2 in response:
            tree["responses"][code]["schema"] = schema(message(message(response[2][0])[1][0]))
    return tree


def test_definitions_come_back_whole(document: Message, tree: dict[str, Any]) -> None:
    found = {name: schema(each) for name, each in named(message(document[9][0])[1]).items()}
    assert found == tree["definitions"]


def test_paths_come_back_whole(document: Message, tree: dict[str, Any]) -> None:
    numbers = {2: "get", 3: "put", 4: "post", 5: "delete", 6: "options", 7: "head", 8: "patch"}
    found: dict[str, dict[str, Any]] = {}
    for path, item in named(message(document[8][0])[2]).items():
        found[path] = {numbers[number]: operation(message(each[0])) for number, each in item.items() if number != 9}
        if 9 in item:
            found[path] |= {"parameters": list(parameters(item[9]))}
    assert found == tree["paths"]


def test_the_head_names_the_release_and_how_to_authenticate(document: Message) -> None:
    assert document[1] == [b"2.0"]
    assert message(document[2][0]) == {1: [b"Kubernetes"], 2: [b"v1.36.0"]}
    key = named(message(document[13][0])[1])["BearerToken"]
    assert message(key[2][0]) == {1: [b"apiKey"], 2: [b"authorization"], 3: [b"header"]}
