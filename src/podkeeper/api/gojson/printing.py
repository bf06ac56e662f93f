"""Values of JSON as Go prints them (``%v``)."""

from __future__ import annotations

from typing import Any


def printed(value: Any) -> str:
    """``map[a:1 b:[x y]]``, keys sorted. Source: package fmt."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(printed, value)) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float(value) if isinstance(value, float) else str(value)


def type_name(value: Any) -> str:
    """What Go's reflection calls the type of a value of JSON."""
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    if value is None:
        return "<nil>"
    return kind_name(value)


def kind_name(value: Any) -> str:
    """What Go's reflection calls the kind of a value of JSON."""
    names = {bool: "bool", str: "string", int: "int64", float: "float64", dict: "map", list: "slice"}
    return names[type(value)]


def _float(value: float) -> str:
    """The shortest form, with an exponent where Go takes one: from 1e+21 on and below 1e-04."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    digits, _, exponent = repr(value).partition("e")
    return f"{digits}e{exponent[0]}{exponent[1:].zfill(2)}" if exponent else digits
