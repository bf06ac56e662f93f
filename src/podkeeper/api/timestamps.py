"""Points in time as the API writes them: RFC 3339 in UTC, whole seconds (Time) or microseconds (MicroTime).

Python's side of every conversion is seconds since the epoch as a float, as a Clock gives them.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_GRAMMAR = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))\Z",
    re.ASCII,
)


class TimestampError(ValueError):
    """The text is not an RFC 3339 time."""


@lru_cache(maxsize=8)
def _whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def format_time(seconds: float) -> str:
    """``2026-01-02T03:04:05Z``: a Time, the fraction dropped."""
    return f"{_whole(int(seconds // 1))}Z"


def format_micro_time(seconds: float) -> str:
    """``2026-01-02T03:04:05.000006Z``: a MicroTime."""
    micros = round(seconds * 1_000_000)
    return f"{_whole(micros // 1_000_000)}.{micros % 1_000_000:06d}Z"


def canonical(text: str, micro: bool = False) -> str:
    """A Time, or MicroTime, as Go writes what it reads: in UTC, with the fraction cut off or exactly six digits of it.
    Text that is no such time stays as it is."""
    match = _GRAMMAR.match(text)
    fraction = (match[2] or "") if match else ""
    if match is None or (micro and len(fraction) != 6):
        return text
    offset = timedelta(hours=int(match[4] or 0), minutes=int(match[5] or 0))
    try:
        whole = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S") + (offset if match[3] == "-" else -offset)
    except (ValueError, OverflowError):
        return text
    return whole.isoformat() + (f".{fraction}Z" if micro else "Z")


def now() -> str:
    """The present as a Time, for callers that have no clock to pass in."""
    return format_time(time.time())


@lru_cache(maxsize=1024)
def parse(text: str) -> float:
    """Seconds since the epoch; any RFC 3339 offset and fraction is read. Raises TimestampError."""
    match = _GRAMMAR.match(text)
    if match is None:
        raise TimestampError(_refusal(text))
    base, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        whole = datetime.strptime(base, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
    except ValueError as error:
        raise TimestampError(_refusal(text)) from error
    return whole.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _refusal(text: str) -> str:
    return f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'


def is_zero(text: str) -> bool:
    """Whether a Time stands for none: absent, or Go's zero time."""
    return not text or text == "0001-01-01T00:00:00Z"
