"""Quotes and variables in a Dockerfile's arguments: what a shell does, without a shell.

``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``${NAME-default}``, ``${NAME:+other}``, ``${NAME+other}``,
``${NAME:?message}``; single quotes take everything literally, double quotes expand, the escape character protects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from podkeeper.runtime.build.failure import BuildFailure

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")


def expand(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """One word: variables replaced, quotes removed, blanks kept. Raises BuildFailure."""
    scanner = _Scanner(text, variables, escape)
    return scanner.word(stop="")


def split(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[str]:
    """The words of ``text``, separated by blanks outside of quotes, each expanded. Raises BuildFailure."""
    return [expand(word, variables, escape) for word in split_raw(text, escape)]


def split_raw(text: str, escape: str = "\\") -> list[str]:
    """The words of ``text`` with quotes and variables as they are written. Raises BuildFailure."""
    words: list[str] = []
    word, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        if character == escape and quote != "'" and position + 1 < len(text):
            word += text[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        if character.isspace() and not quote:
            if word:
                words.append(word)
            word = ""
        else:
            word += character
        position += 1
    if quote:
        raise BuildFailure(f"unexpected end of statement while looking for matching {quote}")
    return [*words, word] if word else words


class _Scanner:
    """One pass over a word; nested for the default of a variable."""

    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text, self._variables, self._escape = text, variables, escape
        self._position = 0

    def word(self, stop: str) -> str:
        """Everything up to ``stop`` (a closing brace, or the end)."""
        result = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            if character == stop:
                return result
            result += self._piece(character)
        if stop:
            raise BuildFailure(f"unexpected end of statement while looking for matching {stop}")
        return result

    def _piece(self, character: str) -> str:
        if character == "'":
            return self._single_quoted()
        if character == '"':
            return self._double_quoted()
        if character == "$":
            return self._variable()
        self._position += 1
        if character == self._escape and self._position < len(self._text):
            self._position += 1
            return self._text[self._position - 1]
        return character

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position + 1)
        if end < 0:
            raise BuildFailure("unexpected end of statement while looking for matching single-quote")
        content = self._text[self._position + 1 : end]
        self._position = end + 1
        return content

    def _double_quoted(self) -> str:
        self._position += 1
        result = ""
        while self._position < len(self._text):
            character = self._text[self._position]
            if character == '"':
                self._position += 1
                return result
            if character == "$":
                result += self._variable()
            elif character == self._escape and self._text[self._position + 1 : self._position + 2] in (
                '"',
                "$",
                self._escape,
            ):
                result += self._text[self._position + 1]
                self._position += 2
            else:
                result += character
                self._position += 1
        raise BuildFailure("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        self._position += 1
        if self._text.startswith("{", self._position):
            self._position += 1
            return self._braced()
        found = _NAME.match(self._text, self._position)
        if found is None:
            return "$"
        self._position = found.end()
        return self._variables.get(found[0], "")

    def _braced(self) -> str:
        found = _NAME.match(self._text, self._position)
        if found is None:
            raise BuildFailure(f"bad substitution in {self._text!r}")
        self._position = found.end()
        value = self._variables.get(found[0])
        operator = self._operator()
        if operator == "}":
            return value or ""
        other = self.word(stop="}")
        self._position += 1
        present = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return other if present else ""
        if operator.endswith("?") and not present:
            raise BuildFailure(f"{found[0]}: {other or 'not allowed to be unset'}")
        return (value or "") if present else other

    def _operator(self) -> str:
        for operator in (":-", ":+", ":?", "-", "+", "?", "}"):
            if self._text.startswith(operator, self._position):
                self._position += len(operator)
                return operator
        raise BuildFailure(f"unsupported modifier in substitution {self._text!r}")
