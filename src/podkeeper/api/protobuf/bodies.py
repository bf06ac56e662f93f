"""Whole bodies: the envelope around an object, lists that are joined of messages, frames of a watch."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from podkeeper.api.protobuf.decoding import decoder
from podkeeper.api.protobuf.encoding import encoder
from podkeeper.api.protobuf.table import fields, message_of
from podkeeper.api.protobuf.values import MAGIC, parts
from podkeeper.api.protobuf.wire import BYTES, ProtobufError, prefixed, tag, varint

Tree = dict[str, Any]

#: What Python raises where a tree does not fit the message, or bytes hold no value of the field's type.
_MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error, msgspec.MsgspecError)
_TYPE_META, _RAW, _CONTENT = tag(1, BYTES), tag(2, BYTES), tag(3, BYTES) + b"\0" + tag(4, BYTES) + b"\0"
_API_VERSION, _KIND = tag(1, BYTES), tag(2, BYTES)
_EVENT_TYPE, _EVENT_OBJECT, _EXTENSION_RAW = tag(1, BYTES), tag(2, BYTES), tag(1, BYTES)


def encode(content: bytes | Mapping[str, Any]) -> bytes:
    """The body of an object, given as JSON or its tree; its apiVersion and kind say which. Raises ProtobufError."""
    with _refusals(""):
        tree = _tree(content)
        api_version, kind = str(tree.get("apiVersion", "")), str(tree.get("kind", ""))
    return wrap(api_version, kind, message(api_version, kind, tree))


def message(api_version: str, kind: str, content: bytes | Mapping[str, Any]) -> bytes:
    """An object's own message, which does not tell its kind. Raises ProtobufError."""
    with _refusals(kind):
        return encoder(_message_of(api_version, kind))(_tree(content))


def wrap(api_version: str, kind: str, raw: bytes) -> bytes:
    """The body of an object whose message is there."""
    return _wrap(api_version, kind, [raw])


def join(api_version: str, kind: str, metadata: Mapping[str, Any], items: Iterable[bytes]) -> bytes:
    """The body of a list whose items' messages are there; ``kind`` is the list's own. Raises ProtobufError."""
    pieces: list[bytes] = []
    for field in fields(_message_of(api_version, kind)):
        head = tag(field.number, BYTES)
        if field.name == "items":
            for item in items:
                pieces += (head + varint(len(item)), item)
        else:
            with _refusals(kind):
                pieces.append(prefixed(head, encoder(field.type)(metadata)))
    return _wrap(api_version, kind, pieces)


def _wrap(api_version: str, kind: str, pieces: list[bytes]) -> bytes:
    """The envelope around an object's message in pieces: one copy of what may be megabytes."""
    names = prefixed(_API_VERSION, api_version.encode()) + prefixed(_KIND, kind.encode())
    head = MAGIC + prefixed(_TYPE_META, names) + _RAW + varint(sum(map(len, pieces)))
    return b"".join([head, *pieces, _CONTENT])


def frame(type_: str, body: bytes) -> bytes:
    """One event of a watch: the length in 4 bytes, then a WatchEvent without an envelope around the object's body."""
    event = prefixed(_EVENT_TYPE, type_.encode()) + prefixed(_EVENT_OBJECT, prefixed(_EXTENSION_RAW, body))
    return struct.pack(">I", len(event)) + event


def decode(body: bytes, api_version: str = "", kind: str = "") -> Tree:
    """The tree of an object with its apiVersion and kind; those given stand in where the body names none.

    Raises ProtobufError.
    """
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    if len(body) == len(MAGIC):
        raise ProtobufError("empty body")
    with _refusals(""):
        return _decode(body[len(MAGIC) :], api_version, kind)


@contextmanager
def _refusals(kind: str) -> Iterator[None]:
    """Whatever is wrong with bytes or trees becomes a ProtobufError."""
    prefix = f"{kind}: " if kind else ""
    try:
        yield
    except ProtobufError:
        raise
    except RecursionError:
        raise ProtobufError(f"{prefix}exceeded max depth") from None
    except _MISFITS as error:
        raise ProtobufError(f"{prefix}{error}") from error


def _decode(unknown: bytes, api_version: str, kind: str) -> Tree:
    found = parts(unknown)
    names = parts(_bytes(found, 1))
    kind = str(_bytes(names, 2), "utf-8") or kind
    api_version = str(_bytes(names, 1), "utf-8") or api_version
    raw = _bytes(found, 2)
    tree: Tree = {"apiVersion": api_version, "kind": kind}
    try:
        with _refusals(""):
            tree.update(decoder(_message_of(api_version, kind))(raw, 0, len(raw), {}))
    except ProtobufError as error:
        error.kind, error.version = kind, api_version.rpartition("/")[2]
        raise
    return tree


def _bytes(found: Mapping[int, Any], number: int) -> bytes:
    value = found.get(number, b"")
    if not isinstance(value, bytes):
        raise ProtobufError(f"proto: wrong wireType for field {number}")
    return value


def _message_of(api_version: str, kind: str) -> str:
    name = message_of(api_version, kind)
    if name is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return name


def _tree(content: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    return msgspec.json.decode(content, type=dict[str, Any]) if isinstance(content, bytes) else content
