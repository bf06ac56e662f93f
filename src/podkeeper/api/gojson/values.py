"""Types that read their JSON themselves, as far as they refuse it: quantities, times, parts of definitions.

Source: the UnmarshalJSON methods of k8s.io/apimachinery and k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from podkeeper.api.gojson import times
from podkeeper.api.gojson.documents import kind_of, members, number, text_of
from podkeeper.api.quantity import Quantity, QuantityError

_DIGITS = re.compile(rb"[A-Za-z0-9+/\r\n]*")


class Refusal(Exception):
    """The text of an error that tells no place."""


class Mismatch(Exception):
    """A value of a wrong type: what it is and the type that was wanted. The place is added where it is known."""

    def __init__(self, value: str, type_: str) -> None:
        super().__init__(value, type_)
        self.value, self.type = value, type_


def _quantity(value: Any) -> None:
    try:
        Quantity((value if isinstance(value, str) else text_of(value)).strip())
    except QuantityError as error:
        raise Refusal(str(error)) from None


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise Mismatch(kind_of(value), "string")
    return value


def _time(value: Any) -> None:
    if complaint := times.complaint(_string(value), times.RFC3339):
        raise Refusal(complaint)


def _micro_time(value: Any) -> None:
    if complaint := times.complaint(_string(value), times.RFC3339_MICRO):
        raise Refusal(complaint)


def _int_or_string(value: Any) -> None:
    if isinstance(value, str):
        return
    spelling = number(value)
    if not spelling:
        raise Mismatch(kind_of(value), "int32")
    if not spelling.removeprefix("-").isdigit() or len(spelling) > 11 or not -(1 << 31) <= int(spelling) < 1 << 31:
        raise Mismatch(f"number {spelling}", "int32")


def _schema_or_bool(value: Any) -> None:
    if members(value) is not None:
        _schema(value)
    elif not isinstance(value, bool):
        raise Refusal("boolean or JSON schema expected")


def _schema_or_array(value: Any) -> None:
    if members(value) is not None:
        _schema(value)
    elif isinstance(value, list):
        for each in value:
            _schema(each)


def _schema_or_strings(value: Any) -> None:
    if members(value) is not None:
        _schema(value)
    elif isinstance(value, list):
        for each in value:
            _string(each)


def _schema(value: Any) -> None:
    from podkeeper.api.gojson.decoding import check  # it reads these types again

    check(value, "apiextensions/v1.JSONSchemaProps")


def _anything(value: Any) -> None:
    """Kept as it is."""


READERS: dict[str, Callable[[Any], None]] = {
    "FieldsV1": _anything,
    "IntOrString": _int_or_string,
    "JSON": _anything,
    "JSONSchemaPropsOrArray": _schema_or_array,
    "JSONSchemaPropsOrBool": _schema_or_bool,
    "JSONSchemaPropsOrStringArray": _schema_or_strings,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "RawExtension": _anything,
    "Time": _time,
}


def base64_complaint(text: str) -> str:
    """What Go says of text that is no base64, empty if it is. Source: encoding/base64, CorruptInputError."""
    place = _corrupt_at(text)
    return "" if place is None else f"illegal base64 data at input byte {place}"


def _corrupt_at(text: str) -> int | None:
    """The index of the byte that Go blames."""
    data = text.encode()
    match = _DIGITS.match(data)
    end = match.end() if match else 0
    digits = (end - data.count(b"\r", 0, end) - data.count(b"\n", 0, end)) % 4
    if end == len(data):
        return len(data) - digits if digits else None
    if data[end : end + 1] != b"=" or digits < 2:
        return end
    return _wrong_padding(data, end + 1, digits)


def _wrong_padding(data: bytes, at: int, digits: int) -> int | None:
    """After the first sign of padding: the second one where two are due, and then nothing."""
    at = _past_lines(data, at)
    if digits == 2:
        if at == len(data):
            return at
        if data[at : at + 1] != b"=":
            return at - 1
        at = _past_lines(data, at + 1)
    return at if at < len(data) else None


def _past_lines(data: bytes, at: int) -> int:
    while data[at : at + 1] in (b"\r", b"\n"):
        at += 1
    return at
