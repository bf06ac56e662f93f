"""Parts of points in time, in a time zone if one is given, and lengths of durations in whole units."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from podkeeper.api.cel.library import Library
from podkeeper.api.cel.times import in_zone
from podkeeper.api.cel.values import Duration, Timestamp

times = Library("times")

#: By name; months and days but ``getDate`` count from 0, Sunday is the first day of a week.
_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda when: when.year,
    "getMonth": lambda when: when.month - 1,
    "getDate": lambda when: when.day,
    "getDayOfMonth": lambda when: when.day - 1,
    "getDayOfWeek": lambda when: when.isoweekday() % 7,
    "getDayOfYear": lambda when: when.timetuple().tm_yday - 1,
    "getHours": lambda when: when.hour,
    "getMinutes": lambda when: when.minute,
    "getSeconds": lambda when: when.second,
}
_UNITS = {"getHours": 3600 * 10**9, "getMinutes": 60 * 10**9, "getSeconds": 10**9, "getMilliseconds": 10**6}


def _declare_part(name: str, part: Callable[[datetime], int]) -> None:
    @times.method(f"{name}(timestamp) -> int", f"{name}(timestamp, string) -> int")
    def of_timestamp(value: Timestamp, zone: str = "UTC") -> int:
        return part(in_zone(value, zone))


def _declare_unit(name: str, unit: int) -> None:
    @times.method(f"{name}(duration) -> int")
    def of_duration(value: Duration) -> int:
        amount = abs(value.nanos) // unit
        return amount if value.nanos >= 0 else -amount


for _name, _part in _PARTS.items():
    _declare_part(_name, _part)
for _name, _unit in _UNITS.items():
    _declare_unit(_name, _unit)


@times.method("getMilliseconds(timestamp) -> int", "getMilliseconds(timestamp, string) -> int")
def milliseconds(value: Timestamp, zone: str = "UTC") -> int:
    in_zone(value, zone)
    return value.nanos % 10**9 // 10**6
