"""A syntax tree back to text, fully bracketed: what it prints parses to the same tree (without macros)."""

from __future__ import annotations

import json

from podkeeper.api.cel.ast import Call, Constant, Entry, FieldInit, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from podkeeper.api.cel.parser import BINARY
from podkeeper.api.cel.values import UInt

_SIGNS = {function: sign for sign, (_, function) in BINARY.items()}


def text_of(node: Node) -> str:
    """The text of a tree. Raises ValueError for a comprehension, which only macros can write."""
    match node:
        case Literal():
            return constant(node.value)
        case Ident():
            return node.name
        case Select(test=False):
            return f"{_operand(node.operand)}.{node.name}"
        case Select():
            return f"has({_operand(node.operand)}.{node.name})"
        case Call():
            return _call(node)
        case ListOf():
            elements = (f"{_mark(i in node.optional)}{text_of(each)}" for i, each in enumerate(node.elements))
            return f"[{', '.join(elements)}]"
        case MapOf():
            return f"{{{', '.join(map(_entry, node.entries))}}}"
        case Struct():
            return f"{node.name}{{{', '.join(map(_field, node.fields))}}}"
    raise ValueError(f"{type(node).__name__} has no text")


def constant(value: Constant) -> str:
    """A literal of that value."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bytes):
        return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
    return f"{int(value)}u" if isinstance(value, UInt) else repr(value)


def _call(node: Call) -> str:
    first, *rest = (_operand(each) for each in node.arguments) if node.arguments else ("",)
    if node.target is not None:
        return f"{_operand(node.target)}.{node.function}({', '.join(map(text_of, node.arguments))})"
    if node.function in _SIGNS:
        return f"{first} {_SIGNS[node.function]} {rest[0]}"
    match node.function:
        case "!_" | "-_":
            return f"{node.function[0]}{first}"
        case "_?_:_":
            return f"{first} ? {rest[0]} : {rest[1]}"
        case "_[_]" | "_[?_]":
            return f"{first}[{_mark(node.function == '_[?_]')}{text_of(node.arguments[1])}]"
        case "_?._":
            name = node.arguments[1]
            assert isinstance(name, Literal)
            return f"{first}.?{name.value!s}"
    return f"{node.function}({', '.join(map(text_of, node.arguments))})"


def _operand(node: Node) -> str:
    """In brackets whatever is not plainly one word."""
    plain = isinstance(node, Ident | ListOf | MapOf) or (isinstance(node, Literal) and type(node.value) in (str, bytes))
    return text_of(node) if plain else f"({text_of(node)})"


def _entry(entry: Entry) -> str:
    return f"{_mark(entry.optional)}{text_of(entry.key)}: {text_of(entry.value)}"


def _field(each: FieldInit) -> str:
    return f"{_mark(each.optional)}{each.name}: {text_of(each.value)}"


def _mark(optional: bool) -> str:
    return "?" if optional else ""
