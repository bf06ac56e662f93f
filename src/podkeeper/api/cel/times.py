"""Texts of durations and points in time, as Go reads and writes them, to whole nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from podkeeper.api.cel.values import MAX_INT, MIN_INT, Duration, EvaluationError, Timestamp

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|h|m|s)", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> Duration:
    """``1h2m3.5s``, ``-10ms``, ``0``. Raises EvaluationError."""
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return Duration(0)
    nanos, at = 0, 0
    while at < len(body):
        match = _PART.match(body, at)
        if match is None or not (match[1] or match[2]):
            break
        nanos += _part(*match.groups())
        at = match.end()
    else:
        nanos = -nanos if text[:1] == "-" else nanos
        if body and MIN_INT <= nanos <= MAX_INT:
            return Duration(nanos)
    raise EvaluationError(f'time: invalid duration "{text}"')


def _part(whole: str, fraction: str | None, unit: str) -> int:
    if len(whole) > 20:
        return MAX_INT + 1
    scale = _UNITS[unit]
    digits = (fraction or "")[:18]
    return int(whole or 0) * scale + (int(digits) * scale // 10 ** len(digits) if digits else 0)


def format_duration(value: Duration) -> str:
    """Seconds: ``3723.004s``."""
    whole, nanos = divmod(abs(value.nanos), 10**9)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{'-' if value.nanos < 0 else ''}{whole}{fraction}s"


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339 with up to nine digits of a fraction. Raises EvaluationError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _unreadable(text)
    *numbers, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        seconds = (whole - _EPOCH) // timedelta(seconds=1)
    except ValueError as error:
        raise _unreadable(text) from error
    east = (-offset if sign == "-" else offset) // timedelta(seconds=1)
    return Timestamp((seconds - east) * 10**9 + int((fraction or "").ljust(9, "0")), east)


def parse_date(text: str) -> Timestamp:
    """``2006-01-02``, or a whole timestamp, as the format ``date`` of schemas is read."""
    return parse_timestamp(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)


def _unreadable(text: str) -> EvaluationError:
    return EvaluationError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')


def format_timestamp(value: Timestamp) -> str:
    """RFC 3339 with the offset that it was read with, and as many digits of a fraction as there are."""
    seconds, nanos = divmod(value.nanos, 10**9)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    try:
        when = _EPOCH + timedelta(seconds=seconds + value.offset)
    except OverflowError as error:
        raise EvaluationError("timestamp overflow") from error
    minutes = abs(value.offset) // 60
    zone = f"{'-' if value.offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if value.offset else "Z"
    return f"{when.year:04}{when:-%m-%dT%H:%M:%S}{fraction}{zone}"


def in_zone(value: Timestamp, zone: str = "UTC") -> datetime:
    """The time on the clocks of a zone (``Europe/Zurich``, ``UTC``) or an offset (``+01:00``, ``-08:30``)."""
    when = _EPOCH + timedelta(seconds=value.nanos // 10**9)
    try:
        return when.astimezone(_zone(zone))
    except OverflowError as error:
        raise EvaluationError("timestamp overflow") from error


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    match = _OFFSET.fullmatch(name)
    try:
        if match is None:
            return ZoneInfo(name)
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise EvaluationError(f"unknown time zone {name}") from error
