"""What Go says of text that is no time in the layout wanted. Source: time.Parse and ParseError of Go's package time."""

from __future__ import annotations

import calendar
import re

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"
#: The layout's elements with the digits that they take and, for those with a range, its bounds and name.
_ELEMENTS = (
    ("2006", "", 0, 9999, ""),
    ("01", "-", 1, 12, "month"),
    ("02", "-", 0, 31, ""),
    ("15", "T", 0, 23, "hour"),
    ("04", ":", 0, 59, "minute"),
    ("05", ":", 0, 59, "second"),
)
_FRACTION = re.compile(r"[.,][0-9]+")
_ZONE = re.compile(r"[+-]([0-9]{2}):([0-9]{2})")


class _Wrong(Exception):
    def __init__(self, message: str) -> None:
        self.message = message


def complaint(text: str, layout: str) -> str:
    """The error's text; empty for a time."""
    try:
        _parse(text, layout)
    except _Wrong as wrong:
        return f"parsing time {_quoted(text)}{wrong.message.replace('LAYOUT', _quoted(layout))}"
    return ""


def _parse(text: str, layout: str) -> None:
    rest, numbers = text, []
    for element, before, low, high, name in _ELEMENTS:
        if not rest.startswith(before):
            raise _unmatched(rest, before)
        rest = rest.removeprefix(before)
        width = len(element)
        if element == "15" and not _is_digits(rest[:2], 2):
            width = 1
        if not _is_digits(rest[:width], width):
            raise _unmatched(rest, element)
        value, rest = int(rest[:width]), rest[width:]
        if name and not low <= value <= high:
            raise _Wrong(f": {name} out of range")
        numbers.append(value)
    rest = _zone(_fraction(rest, layout))
    if rest:
        raise _Wrong(f": extra text: {_quoted(rest)}")
    year, month, day = numbers[:3]
    if not 1 <= day <= calendar.monthrange(year or 4, month)[1]:
        raise _Wrong(": day out of range")


def _is_digits(text: str, width: int) -> bool:
    return len(text) == width and text.isascii() and text.isdigit()


def _quoted(text: str) -> str:
    """As package time quotes: what is not ASCII by its bytes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if " " <= each < "\x80" else _bytes_of(each) for each in escaped) + '"'


def _bytes_of(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "replace"))


def _unmatched(rest: str, element: str) -> _Wrong:
    return _Wrong(f" as LAYOUT: cannot parse {_quoted(rest)} as {_quoted(element)}")


def _fraction(rest: str, layout: str) -> str:
    found = _FRACTION.match(rest)
    if layout == RFC3339:
        return rest[found.end() :] if found else rest
    if not re.match(r"[.,][0-9]{6}", rest):
        raise _unmatched(rest, ".000000")
    return rest[7:]


def _zone(rest: str) -> str:
    if rest.startswith("Z"):
        return rest[1:]
    found = _ZONE.match(rest)
    if found is None:
        raise _unmatched(rest, "Z07:00")
    for nth, (most, name) in enumerate(((24, "hour"), (60, "minute")), 1):
        if int(found[nth]) > most:
            raise _Wrong(f": time zone offset {name} out of range")
    return rest[found.end() :]
