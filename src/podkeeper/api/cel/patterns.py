"""Regular expressions in RE2's syntax, which take time in proportion to the text whatever the pattern."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from podkeeper.api.cel.values import EvaluationError

_MEMORY = 8 << 20
#: Where the library's words are not Go's.
_REASONS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
}


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """The pattern, with ``search`` and ``finditer`` as Python's. Raises EvaluationError."""
    import re2  # type: ignore[import-untyped]  # loaded by those whose expressions have patterns

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        raise EvaluationError(_message(error, pattern)) from error


def _message(error: Exception, pattern: str) -> str:
    """Go's words: ``error parsing regexp: missing closing ): `a(` ``."""
    given = error.args[0] if error.args else b""
    reason, _, part = (given.decode(errors="replace") if isinstance(given, bytes) else str(given)).partition(": ")
    return f"error parsing regexp: {_REASONS.get(reason, reason)}: `{part or pattern}`"
