"""Types that read their JSON themselves, as far as they refuse it: quantities, times, parts of definitions.

Source: the UnmarshalJSON methods of k8s.io/apimachinery and k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podkeeper.api.gojson import times
from podkeeper.api.gojson.documents import kind_of, members, number, text_of
from podkeeper.api.quantity import Quantity, QuantityError

_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


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
    """The index of the first byte that does not belong there."""
    data = text.encode()
    digits = 0
    places = [index for index, byte in enumerate(data) if byte not in b"\r\n"]
    for nth, index in enumerate(places):
        byte = chr(data[index])
        if byte in _ALPHABET:
            digits += 1
            continue
        if byte != "=" or digits % 4 < 2:
            return index
        return _wrong_padding(data, places[nth + 1 :], digits % 4)
    return None if digits % 4 == 0 else len(data) - digits % 4


def _wrong_padding(data: bytes, rest: list[int], digits: int) -> int | None:
    """After the first sign of padding: the second one where two are due, and then nothing."""
    if digits == 2:
        if not rest:
            return len(data)
        if data[rest[0]] != ord("="):
            return rest[0]
        rest = rest[1:]
    return rest[0] if rest else None
