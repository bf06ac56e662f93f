"""Logging of a component process: a line per record on standard error, as text or as JSON.

2026-01-31T08:15:00.000Z I podkeeper.client.leader: became the leader
{"ts":1769847300000.0,"level":"info","logger":"podkeeper.client.leader","msg":"became the leader"}

What others have written into a message stays within its line. The lines of a traceback follow in text, each behind a
space; in JSON they are in ``stacktrace``.
"""

from __future__ import annotations

import json
import logging
import sys
import time

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname).1s %(name)s: %(message)s"
FORMS = ("text", "json")
#: Loggers that speak from this number on (upstream's ``--v``); all others' details come from 4 on.
VERBOSE = {"podkeeper.requests": 3}
_DETAILS = 4


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__(FORMAT, "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The first line."""
        record.message = _in_one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: logging._SysExcInfoType) -> str:
        """The lines after it."""
        return "\n".join(f" {line}" for line in super().formatException(ei).splitlines())


class JsonFormatter(logging.Formatter):
    """Lines for programs; milliseconds since the epoch."""

    def format(self, record: logging.LogRecord) -> str:
        """One object."""
        told = {
            "ts": round(record.created * 1000, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            told |= {"err": str(record.exc_info[1]), "stacktrace": self.formatException(record.exc_info)}
        return json.dumps(told, separators=(",", ":"))


def log_to_stderr(verbosity: int = 0, form: str = "text") -> None:
    """Sends records to standard error: what is worth knowing, from 3 on requests too, from 4 on every detail."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    level = logging.DEBUG if verbosity >= _DETAILS else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, needed in VERBOSE.items():
        logging.getLogger(name).setLevel(logging.DEBUG if verbosity >= needed else logging.INFO)


def _in_one_line(text: str) -> str:
    """The text with its line ends shown instead of made, so that nobody writes lines that are not ours."""
    return "\\n".join(text.splitlines()) if "\n" in text or "\r" in text else text
