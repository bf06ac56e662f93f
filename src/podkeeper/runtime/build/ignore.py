"""Which files of a build context are left out: .dockerignore, one pattern per line, the last that fits decides."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from podkeeper.runtime.build.failure import BuildFailure


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    exclude: bool


class IgnoreRules:
    """The rules of one file."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules = [rule for line in lines if (rule := _rule(line)) is not None]
        self.has_exceptions = any(not rule.exclude for rule in self._rules)

    def excludes(self, path: str) -> bool:
        """Whether ``path`` (relative to the context, no leading slash) is left out, itself or by a parent directory."""
        excluded = False
        for rule in self._rules:
            if rule.exclude != excluded and any(rule.pattern.fullmatch(part) for part in _with_parents(path)):
                excluded = rule.exclude
        return excluded


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match, with ``**`` for any number of directories. Raises BuildFailure."""
    expression, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if pattern.startswith("**", position - 1):
            position += 1
            if pattern.startswith("/", position):
                position += 1
                expression += "(?:.*/)?"
            else:
                expression += ".*"
        elif character == "*":
            expression += "[^/]*"
        elif character == "?":
            expression += "[^/]"
        elif character == "[":
            one_of, position = _character_class(pattern, position)
            expression += one_of
        elif character == "\\" and position < len(pattern):
            expression += re.escape(pattern[position])
            position += 1
        else:
            expression += re.escape(character)
    return re.compile(expression, re.DOTALL)


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    """``[abc]``, ``[a-c]``, ``[^a]``; a range that runs backwards holds nothing. Returns it and where it ends."""
    negated = pattern.startswith("^", position)
    position += negated
    inside = ""
    first = True
    while first or not pattern.startswith("]", position):
        low, position = _class_member(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_member(pattern, position + 1)
        if low <= high:
            inside += f"{re.escape(low)}-{re.escape(high)}"
        first = False
    if not inside:
        return "." if negated else "(?!)", position + 1
    return f"[{'^' * negated}{inside}]", position + 1


def _class_member(pattern: str, position: int) -> tuple[str, int]:
    escaped = pattern.startswith("\\", position)
    position += escaped
    if position >= len(pattern) or (not escaped and pattern[position] in "-]"):
        raise BuildFailure(f"syntax error in pattern {pattern!r}")
    return pattern[position], position + 1


def _rule(line: str) -> _Rule | None:
    if line.startswith("#"):
        return None
    text = line.strip()
    exclude = not text.startswith("!")
    text = text.removeprefix("!").strip()
    if not text:
        return None
    return _Rule(glob_pattern(posixpath.normpath(text).lstrip("/")), exclude)


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
