"""Messages to JSON trees: one function per message, put together from the table when the message is first met.

The tree is what Go's JSON of the same object would be: fields that JSON leaves out when they are empty are left out,
others are there also when they were not on the wire. One thing is simpler: what Go writes as null is left out.
Of a field that stands twice the last value counts, messages are merged, as everywhere in protobuf.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from podkeeper.api.protobuf.table import Field, fields
from podkeeper.api.protobuf.values import UNIONS, VALUES
from podkeeper.api.protobuf.wire import (
    BYTES,
    END_GROUP,
    FIXED64,
    VARINT,
    ProtobufError,
    read_length,
    read_varint,
    signed32,
    signed64,
    skip,
)

Tree = dict[str, Any]
#: Bytes, where the message begins and ends in them, and the tree that it is merged into.
Decode = Callable[[bytes, int, int, Tree], Any]
#: The value of bytes, or of an integer for scalars on the wire as such.
Read = Callable[[Any], Any]
Store = Callable[[Tree, Any], None]

_ZEROS = {"string": "", "bool": False, "double": 0.0, "int32": 0, "int64": 0}
_NUMBERS: dict[str, Read] = {"bool": bool, "int32": signed32, "int64": signed64}


@cache
def decoder(message: str) -> Decode:
    """The tree of a message. Raises ProtobufError and ValueError."""
    readers: dict[int, Callable[[Tree, bytes, int, int], int]] = {}
    for field in fields(message):
        readers.update(_readers(field))
    complete = _completion(fields(message))

    def decode(data: bytes, position: int, end: int, tree: Tree) -> Tree:
        while position < end:
            key = data[position]
            position += 1
            if key > 0x7F:
                key, position = read_varint(data, position - 1, end)
            read = readers.get(key)
            if read is None:
                position = _pass_over(message, key, data, position, end)
            else:
                position = read(tree, data, position, end)
        complete(tree)
        return tree

    return decode


def _pass_over(message: str, key: int, data: bytes, position: int, end: int) -> int:
    """A field of a newer release. Raises ProtobufError for one that we know and that is of another form."""
    number, kind = key >> 3, key & 7
    name = message.rpartition(".")[2]
    if kind == END_GROUP:
        raise ProtobufError(f"proto: {name}: wiretype end group for non-group")
    if not number:
        raise ProtobufError(f"proto: {name}: illegal tag {number} (wire type {key})")
    for field in fields(message):
        if field.number == number:
            raise ProtobufError(f"proto: wrong wireType = {kind} for field {field.name[:1].upper()}{field.name[1:]}")
    return skip(data, position, end, kind)


def _completion(known: tuple[Field, ...]) -> Callable[[Tree], None]:
    """Puts in what Go's JSON shows of fields that were not on the wire."""
    constants: Tree = {}
    structs: list[tuple[Field, Decode]] = []
    for field in known:
        if field.pointer or field.form in ("[", "{"):
            continue
        if field.type in _ZEROS:
            if not field.omitempty:
                constants[field.name] = _ZEROS[field.type]
        elif field.type in VALUES:
            if VALUES[field.type].missing is not None:
                constants[field.name] = VALUES[field.type].missing
        elif field.type != "bytes":
            structs.append((field, decoder(field.type)))

    def complete(tree: Tree) -> None:
        for name, value in constants.items():
            if name not in tree:
                tree[name] = value
        for field, decode in structs:
            if field.form == "=":
                decode(b"", 0, 0, tree)
            elif field.name not in tree:
                tree[field.name] = decode(b"", 0, 0, {})

    return complete


def _readers(field: Field) -> dict[int, Callable[[Tree, bytes, int, int], int]]:
    """What reads a field, by number and form on the wire."""
    number = field.number << 3
    store = _store(field)
    if field.type == "double":
        return {number | FIXED64: _double_reader(store)}
    if field.type in _NUMBERS:
        readers = {number | VARINT: _number_reader(_NUMBERS[field.type], store)}
        if field.form == "[":
            readers[number | BYTES] = _packed_reader(_NUMBERS[field.type], store)
        return readers
    if field.form == "{":
        return {number | BYTES: _entry_reader(field)}
    if field.type in _BYTES or field.type in VALUES:
        return {number | BYTES: _bytes_reader(_value_of(field.type), store)}
    return {number | BYTES: _message_reader(field)}


def _store(field: Field) -> Store:
    name = field.name
    if field.form == "[":
        return lambda tree, value: tree.setdefault(name, []).append(value)
    if field.pointer or not field.omitempty:
        empty: tuple[Any, ...] = (None,)
    elif field.type in VALUES and field.type != "Strings":
        empty = (None,)
    else:
        empty = (None, "", 0, [])

    def store(tree: Tree, value: Any) -> None:
        if value in empty:
            tree.pop(name, None)
        else:
            tree[name] = value

    return store


def _number_reader(number_of: Read, store: Store) -> Callable[[Tree, bytes, int, int], int]:
    def read(tree: Tree, data: bytes, position: int, end: int) -> int:
        value, position = read_varint(data, position, end)
        store(tree, number_of(value))
        return position

    return read


def _packed_reader(number_of: Read, store: Store) -> Callable[[Tree, bytes, int, int], int]:
    def read(tree: Tree, data: bytes, position: int, end: int) -> int:
        position, stop = read_length(data, position, end)
        while position < stop:
            value, position = read_varint(data, position, stop)
            store(tree, number_of(value))
        return position

    return read


def _double_reader(store: Store) -> Callable[[Tree, bytes, int, int], int]:
    def read(tree: Tree, data: bytes, position: int, end: int) -> int:
        if position + 8 > end:
            raise ProtobufError("unexpected EOF")
        store(tree, struct.unpack_from("<d", data, position)[0])
        return position + 8

    return read


def _bytes_reader(value_of: Read, store: Store) -> Callable[[Tree, bytes, int, int], int]:
    def read(tree: Tree, data: bytes, position: int, end: int) -> int:
        start, stop = read_length(data, position, end)
        store(tree, value_of(data[start:stop]))
        return stop

    return read


def _message_reader(field: Field) -> Callable[[Tree, bytes, int, int], int]:
    decode = _lazily(field.type)
    name, form = field.name, field.form
    close = _closing(field.type)

    def read(tree: Tree, data: bytes, position: int, end: int) -> int:
        start, stop = read_length(data, position, end)
        if form == "=":
            decode(data, start, stop, tree)
        elif form == "[":
            tree.setdefault(name, []).append(close(decode(data, start, stop, {})))
        else:
            earlier = tree.get(name)
            value = close(decode(data, start, stop, earlier if close is _as_it_is and earlier else {}))
            if value is not None:
                tree[name] = value
        return stop

    return read


def _entry_reader(field: Field) -> Callable[[Tree, bytes, int, int], int]:
    """One entry of a map: a message whose first field is the key and whose second is the value."""
    name, value_of = field.name, _value_of(field.type)

    def read(tree: Tree, data: bytes, position: int, end: int) -> int:
        position, stop = read_length(data, position, end)
        key = value = b""
        while position < stop:
            number, position = read_varint(data, position, stop)
            if number == _ENTRY_KEY:
                start, position = read_length(data, position, stop)
                key = data[start:position]
            elif number == _ENTRY_VALUE:
                start, position = read_length(data, position, stop)
                value = data[start:position]
            else:
                position = skip(data, position, stop, number & 7)
        tree.setdefault(name, {})[str(key, "utf-8")] = value_of(value)
        return stop

    return read


_ENTRY_KEY, _ENTRY_VALUE = 1 << 3 | BYTES, 2 << 3 | BYTES


def _value_of(type_: str) -> Read:
    """Reads a value that is bytes on the wire."""
    if type_ in _BYTES:
        return _BYTES[type_]
    if type_ in VALUES:
        return VALUES[type_].read
    decode, close = _lazily(type_), _closing(type_)
    return lambda data: close(decode(data, 0, len(data), {}))


def _lazily(message: str) -> Decode:
    """Finds the message's decoder only when it is needed: a schema holds schemas."""
    found: Decode | None = None

    def decode(data: bytes, position: int, end: int, tree: Tree) -> Any:
        nonlocal found
        if found is None:
            found = decoder(message)
        return found(data, position, end, tree)

    return decode


def _as_it_is(tree: Tree) -> Any:
    return tree


def _closing(message: str) -> Callable[[Tree], Any]:
    union = UNIONS.get(message.rpartition(".")[2])
    return _as_it_is if union is None else union.close


_BYTES: dict[str, Read] = {
    "bytes": lambda data: base64.b64encode(data).decode("ascii"),
    "string": lambda data: str(data, "utf-8"),
}
