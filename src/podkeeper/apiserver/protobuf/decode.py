"""A protobuf body as the JSON tree of the same object.

On the wire: the four bytes ``k8s\\0``, then an Unknown message that names apiVersion and kind and holds the object's
own message. Go writes fields that it holds by value also when they are empty, so empty texts and most zeros mean
absence.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from podkeeper.apiserver.protobuf import messages
from podkeeper.apiserver.protobuf.messages import Field
from podkeeper.apiserver.protobuf.wire import WireError, fields, signed

MAGIC = b"k8s\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProtobufError(ValueError):
    """The body is no object in protobuf that we know."""


def decode(body: bytes) -> dict[str, Any]:
    """The object in ``body``. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        return _decode_unknown(memoryview(body)[len(MAGIC) :])
    except (WireError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as error:
        raise ProtobufError(str(error)) from error


def _decode_unknown(data: memoryview) -> dict[str, Any]:
    raw, type_meta = memoryview(b""), memoryview(b"")
    for number, value in fields(data):
        if number == 1:
            type_meta = _bytes(value)
        elif number == 2:
            raw = _bytes(value)
    names = {number: str(_bytes(value), "utf-8") for number, value in fields(type_meta)}
    api_version, kind = names.get(1, ""), names.get(2, "")
    name = messages.of_kind(api_version, kind)
    if name is None:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"apiVersion": api_version, "kind": kind, **_message(name, raw)}


def _bytes(value: int | float | memoryview) -> memoryview:
    if not isinstance(value, memoryview):
        raise WireError("a number where a message or text should be")
    return value


def _message(name: str, data: memoryview) -> dict[str, Any]:
    known = messages.message(name)
    tree: dict[str, Any] = {}
    for number, value in fields(data):
        field = known.get(number)
        if field is None:
            continue  # a field of a newer release
        if field.mapping:
            key, member = _entry(field, _bytes(value))
            tree.setdefault(field.name, {})[key] = member
        elif field.repeated:
            tree.setdefault(field.name, []).append(_value(field.types[0], value))
        elif field.inline:
            tree.update(_message(field.types[0], _bytes(value)))
        else:
            _put(tree, field, _value(field.types[0], value))
    return tree


def _put(tree: dict[str, Any], field: Field, value: Any) -> None:
    """Leaves out what Go writes without being asked to."""
    if value is None or value == "":
        return
    if value == 0 and not isinstance(value, str) and not field.keeps_zero:
        return
    if value == {} and field.name in _EMPTY_IS_ABSENT:
        return
    tree[field.name] = value


#: Structs that Go holds by value and JSON would print as {}: nothing is lost without them.
_EMPTY_IS_ABSENT = frozenset(
    {"status", "resources", "strategy", "updateStrategy", "state", "lastState", "loadBalancer"}
)


def _entry(field: Field, data: memoryview) -> tuple[str, Any]:
    key_type, value_type = field.types
    parts = dict(fields(data))
    key = _value(key_type, parts.get(1, memoryview(b"")))
    empty: int | memoryview = 0 if value_type in _NUMBERS else memoryview(b"")
    return str(key), _value(value_type, parts.get(2, empty))


def _value(kind: str, value: int | float | memoryview) -> Any:
    if kind == "string":
        return str(_bytes(value), "utf-8")
    number = _NUMBERS.get(kind)
    if number is not None:
        if isinstance(value, memoryview):
            raise WireError("a message where a number should be")
        return number(value)
    special = _SPECIAL.get(kind.rpartition(".")[2])
    if special is not None:
        return special(kind, _bytes(value))
    return _message(kind, _bytes(value))


_NUMBERS: Mapping[str, Callable[[Any], Any]] = {"int32": signed, "int64": signed, "bool": bool, "double": float}


def _plain(kind: str, data: memoryview) -> dict[str, Any]:
    """A special message field by field, zeros kept."""
    known = messages.message(kind)
    return {known[number].name: value for number, value in fields(data) if number in known}


def _time(kind: str, data: memoryview) -> str | None:
    parts = _plain(kind, data)
    if not parts:
        return None
    moment = _EPOCH + timedelta(seconds=signed(parts.get("seconds", 0)))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(kind: str, data: memoryview) -> str | None:
    parts = _plain(kind, data)
    if not parts:
        return None
    moment = _EPOCH + timedelta(seconds=signed(parts.get("seconds", 0)))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{parts.get('nanos', 0) // 1000:06}Z"


def _quantity(kind: str, data: memoryview) -> str:
    return str(_plain(kind, data).get("string", b"0") or b"0", "utf-8")


def _int_or_string(kind: str, data: memoryview) -> int | str:
    parts = _plain(kind, data)
    if parts.get("type"):
        return str(parts.get("strVal", b""), "utf-8")
    return signed(parts.get("intVal", 0))


def _raw_json(kind: str, data: memoryview) -> Any:
    raw = next((bytes(_bytes(value)) for number, value in fields(data) if number == 1), b"")
    return json.loads(raw) if raw else None


def _duration(kind: str, data: memoryview) -> str:
    nanoseconds = signed(_plain(kind, data).get("duration", 0))
    whole, rest = divmod(abs(nanoseconds), 10**9)
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    fraction = f"{rest:09}".rstrip("0")
    text = f"{seconds}{'.' + fraction if fraction else ''}s"
    if hours or minutes:
        text = (f"{hours}h" if hours else "") + f"{minutes}m{text}"
    return f"-{text}" if nanoseconds < 0 else text


def _items(kind: str, data: memoryview) -> list[str]:
    return [str(_bytes(value), "utf-8") for number, value in fields(data) if number == 1]


def _schema_or_bool(kind: str, data: memoryview) -> Any:
    tree = _message(kind, data)
    return tree["schema"] if "schema" in tree else bool(tree.get("allows"))


def _schema_or_list(kind: str, data: memoryview) -> Any:
    tree = _message(kind, data)
    return tree["schema"] if "schema" in tree else next(iter(tree.values()), [])


def _base64(kind: str, data: memoryview) -> str:
    return base64.b64encode(data).decode()


_SPECIAL: Mapping[str, Callable[[str, memoryview], Any]] = {
    "bytes": _base64,
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "RawExtension": _raw_json,
    "FieldsV1": _raw_json,
    "JSON": _raw_json,
    "Duration": _duration,
    "Verbs": _items,
    "ExtraValue": _items,
    "JSONSchemaPropsOrBool": _schema_or_bool,
    "JSONSchemaPropsOrArray": _schema_or_list,
    "JSONSchemaPropsOrStringArray": _schema_or_list,
}
