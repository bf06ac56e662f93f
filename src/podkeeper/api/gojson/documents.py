"""JSON documents as they were written: with fields that stand twice, and numbers as they are spelt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec import Struct


class Number(Struct, frozen=True):
    """A number as it stands in the document."""

    text: str


class Members(list[tuple[str, Any]]):
    """The members of an object in their order."""


def read(body: bytes) -> Any:
    """The document in well-formed JSON: Members, list, str, bool, None and Number. Raises ValueError and
    RecursionError."""
    return json.loads(body, object_pairs_hook=Members, parse_int=Number, parse_float=Number)


def members(value: Any) -> Iterable[tuple[str, Any]] | None:
    """The members of an object of a document or of a plain tree; None for other values."""
    if isinstance(value, Members):
        return value
    return value.items() if isinstance(value, dict) else None


def number(value: Any) -> str:
    """The spelling of a number; empty for other values."""
    if isinstance(value, Number):
        return value.text
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def kind_of(value: Any) -> str:
    """What decoding errors call a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if members(value) is not None:
        return "object"
    return "array" if isinstance(value, list) else "number"


def text_of(value: Any) -> str:
    """A value as compact JSON."""
    pairs = members(value)
    if pairs is not None:
        return "{" + ",".join(f"{json.dumps(key)}:{text_of(each)}" for key, each in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text_of, value)) + "]"
    return number(value) or json.dumps(value, ensure_ascii=False)
