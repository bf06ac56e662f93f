"""The schedule of a CronJob: five fields of minutes, hours, days, months and weekdays, or a name such as ``@daily``.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = re.compile(r"@every ([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+")


def mistake(schedule: str) -> str:
    """What is wrong with a schedule in the words of upstream's parser; empty when it is good."""
    if not schedule:
        return "empty spec string"
    if schedule.startswith("@"):
        good = schedule in _NAMED or _EVERY.fullmatch(schedule)
        return "" if good else f"unrecognized descriptor: {schedule}"
    parts = schedule.split()
    if len(parts) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(parts)}: {list_text(parts)}"
    for part, (noun, low, high) in zip(parts, _FIELDS, strict=True):
        for piece in part.split(","):
            wrong = _range(piece, noun, low, high)
            if wrong:
                return wrong
    return ""


def list_text(parts: list[str]) -> str:
    """Fields as the parser shows them: ``[a b c]``."""
    return "[" + " ".join(parts) + "]"


def _range(text: str, noun: str, low: int, high: int) -> str:
    span, slash, step_text = text.partition("/")
    if "/" in step_text:
        return f"too many slashes: {text}"
    first_text, dash, last_text = span.partition("-")
    if "-" in last_text:
        return f"too many hyphens: {text}"
    if first_text in ("*", "?") and not dash:
        first, last = low, high
    else:
        numbers = [_number(each, noun) for each in ((first_text, last_text) if dash else (first_text,))]
        if None in numbers:
            bad = first_text if numbers[0] is None else last_text
            return f'failed to parse int from {bad}: strconv.Atoi: parsing "{bad}": invalid syntax'
        first = numbers[0] or 0
        last = (numbers[-1] or 0) if dash or not slash else high
    if slash:
        step = _number(step_text, "")
        if step is None:
            return f'failed to parse int from {step_text}: strconv.Atoi: parsing "{step_text}": invalid syntax'
        if step == 0:
            return f"step of range should be a positive number: {text}"
    if first < low:
        return f"beginning of range ({first}) below minimum ({low}): {text}"
    if last > high:
        return f"end of range ({last}) above maximum ({high}): {text}"
    return f"beginning of range ({first}) beyond end of range ({last}): {text}" if first > last else ""


def _number(text: str, noun: str) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    if noun == "month" and text.lower() in _MONTHS:
        return _MONTHS.index(text.lower()) + 1
    if noun == "day of week" and text.lower() in _DAYS:
        return _DAYS.index(text.lower())
    return None
