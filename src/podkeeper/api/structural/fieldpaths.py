"""Paths of fields in schemas as rules and definitions write them: ``.spec.foo``, ``['a.b'].c``.

Source: apiextensions-apiserver, pkg/apiserver/schema/cel, ValidFieldPath.
"""

from __future__ import annotations

import re

from podkeeper.api.structural.schema import Schema

_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]']+|'")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}
_NO_FIELD = "does not refer to a valid field"
_END = "unexpected end of JSON path"


class BadPath(ValueError):
    """A path that is none, or leads nowhere."""


def resolve(path: str, schema: Schema, quoted: bool = True) -> tuple[str, Schema]:
    """The path as messages show it, and the schema that it leads to. ``quoted``: names may stand in brackets."""
    tokens = iter(_TOKEN.findall(path))
    shown = ""
    for part in tokens:
        if part == ".":
            name = next(tokens, None)
            if name is None:
                raise BadPath(_END)
        elif part == "[":
            if not quoted:
                raise BadPath("array notation is not allowed")
            name = _quoted(next(tokens, None))
            if (end := next(tokens, None)) != "]":
                raise BadPath(_END if end is None else f"expected ] but got {end}")
        else:
            raise BadPath(f"expected [ or . but got: {part}")
        shown, schema = _step(shown, schema, name)
    return shown, schema


def normalized(path: str | None, schema: Schema) -> str:
    """The path as messages show it; empty where none is given or it leads nowhere."""
    try:
        return resolve(path, schema)[0] if path else ""
    except BadPath:
        return ""


def _step(shown: str, schema: Schema, name: str) -> tuple[str, Schema]:
    if schema.properties:
        if name not in schema.properties:
            raise BadPath(_NO_FIELD)
        return f"{shown}.{name}" if shown else name, schema.properties[name]
    if schema.values is None:
        raise BadPath(_NO_FIELD)
    return f"{shown}[{name}]", schema.values


def _quoted(token: str | None) -> str:
    if token is None:
        raise BadPath(_END)
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise BadPath(f"expected single quoted string but got {token}")
    for character in _ESCAPED.findall(token[1:-1]):
        if character not in _ESCAPES:
            raise BadPath(f"invalid string literal: invalid escape char \\{character}")
    return _ESCAPED.sub(lambda match: _ESCAPES[match.group(1)], token[1:-1])
