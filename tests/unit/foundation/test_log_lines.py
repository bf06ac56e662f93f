"""Lines of a log: one record a line, whatever is in it, as text and as JSON."""

from __future__ import annotations

import json
import logging
import sys

from podkeeper.foundation.logs import JsonFormatter, TextFormatter


def record(message: str, *args: object, fault: bool = False) -> logging.LogRecord:
    told = None
    if fault:
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            told = sys.exc_info()
    made = logging.LogRecord("podkeeper.x", logging.WARNING, __file__, 1, message, args, told)
    made.created, made.msecs = 1769847300.5, 500.0
    return made


def test_a_record_is_a_line_with_time_level_and_logger() -> None:
    line = TextFormatter().format(record("%s is %d", "it", 3))
    assert line == "2026-01-31T08:15:00.500Z W podkeeper.x: it is 3"


def test_nobody_writes_lines_that_are_not_ours() -> None:
    forged = "x\n2026-01-31T08:15:00.500Z I podkeeper.x: all is well"
    assert "\n" not in TextFormatter().format(record("%s", forged))
    assert json.loads(JsonFormatter().format(record("%s", forged)))["msg"] == forged


def test_lines_of_a_traceback_are_told_from_records() -> None:
    first, *rest = TextFormatter().format(record("it failed", fault=True)).splitlines()
    assert first.endswith("W podkeeper.x: it failed")
    assert rest
    assert all(line.startswith(" ") for line in rest)


def test_programs_read_json() -> None:
    told = json.loads(JsonFormatter().format(record("it failed", fault=True)))
    assert (told["ts"], told["level"], told["logger"], told["msg"]) == (
        1769847300500.0,
        "warning",
        "podkeeper.x",
        "it failed",
    )
    assert told["err"] == "first\nsecond"
    assert "ValueError" in told["stacktrace"]
