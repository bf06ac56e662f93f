"""A Dockerfile as instructions: comments, parser directives, continuation lines, flags, heredocs.

The grammar is that of https://docs.docker.com/reference/dockerfile/. What an instruction means is not decided here.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

from msgspec import Struct

from podkeeper.runtime.build import words
from podkeeper.runtime.build.failure import BuildFailure

_SETTINGS = ("CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "SHELL", "STOPSIGNAL", "USER", "VOLUME")
KEYWORDS = frozenset(("ADD", "ARG", "COPY", "FROM", "MAINTAINER", "ONBUILD", "RUN", "WORKDIR", *_SETTINGS))
_HEREDOC_USERS = frozenset(("RUN", "COPY", "ADD"))
_DIRECTIVE = re.compile(r"\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_FLAG = re.compile(r"--([a-zA-Z][a-zA-Z0-9-]*)(?:=(\S*))?(?:\s+|$)")
_HEREDOC = re.compile(r"\d*<<(-?)(?:'([^<']+)'|\"([^<\"]+)\"|([^\s<'\"\\]+))")  # a whole word


class Heredoc(Struct, frozen=True):
    """A document inside the Dockerfile. ``expand`` is whether variables in it are replaced."""

    name: str
    content: str
    expand: bool


class Instruction(Struct, frozen=True):
    """One instruction. ``keyword`` is in capitals; ``rest`` is what follows the flags, continuation lines joined."""

    line: int
    keyword: str
    flags: tuple[tuple[str, str], ...]
    rest: str
    heredocs: tuple[Heredoc, ...] = ()

    def __str__(self) -> str:
        flags = "".join(f"--{name}={value} " if value else f"--{name} " for name, value in self.flags)
        return f"{self.keyword} {flags}{' '.join(self.rest.split())}"

    @property
    def exec_form(self) -> tuple[str, ...] | None:
        """The arguments when they are a JSON array of strings, else None (shell form)."""
        if not self.rest.startswith("["):
            return None
        try:
            array = json.loads(self.rest)
        except ValueError:
            return None
        if not isinstance(array, list) or not all(isinstance(word, str) for word in array):
            return None
        return tuple(array)


class Dockerfile(Struct, frozen=True):
    """``escape`` is the character of continuation lines and of escaped dollars."""

    instructions: tuple[Instruction, ...]
    escape: str = "\\"


def parse(text: str) -> Dockerfile:
    """Reads a whole Dockerfile. Raises BuildFailure with the line."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    escape = _escape_directive(lines)
    return Dockerfile(tuple(_instructions(lines, escape)), escape)


def _escape_directive(lines: list[str]) -> str:
    """Directives are the comments of the form ``# name=value`` before anything else, each at most once."""
    escape, seen = "\\", set()
    for number, line in enumerate(lines, 1):
        found = _DIRECTIVE.match(line)
        if found is None or found[1].lower() not in ("escape", "syntax", "check"):
            break
        name = found[1].lower()
        if name in seen:
            raise BuildFailure(f"only one {name} parser directive can be used", number)
        seen.add(name)
        if name == "escape":
            if found[2] not in ("\\", "`"):
                raise BuildFailure(f"invalid escape token {found[2]!r} does not match ` or \\", number)
            escape = found[2]
    return escape


def _instructions(lines: list[str], escape: str) -> Iterator[Instruction]:
    position = 0
    while position < len(lines):
        start = position
        text, position = _logical_line(lines, position, escape)
        if not text:
            continue
        instruction = _instruction(text, start + 1)
        heredocs = []
        if instruction.keyword in _HEREDOC_USERS:
            for found in _heredoc_words(instruction.rest, escape):
                document, position = _heredoc(lines, position, found, instruction.line)
                heredocs.append(document)
        yield Instruction(start + 1, instruction.keyword, instruction.flags, instruction.rest, tuple(heredocs))


def _logical_line(lines: list[str], position: int, escape: str) -> tuple[str, int]:
    """Joins continuation lines, leaving out comments and empty lines between them; "" for one of those alone."""
    mark = re.escape(escape)
    continuation = re.compile(rf"(?<!{mark}){mark}[ \t]*$")
    text = ""
    while position < len(lines):
        line = lines[position]
        position += 1
        stripped = line.strip()
        if stripped.startswith("#") or not stripped:
            if text:
                continue
            break
        line = line if text else line.lstrip()
        shortened = continuation.sub("", line)
        text += shortened
        if shortened == line:
            break
    return text.strip(), position


def _instruction(text: str, line: int) -> Instruction:
    keyword, *rest = text.split(maxsplit=1)
    keyword = keyword.upper()
    if keyword not in KEYWORDS:
        raise BuildFailure(f"unknown instruction: {keyword}", line)
    if not rest:
        raise BuildFailure(f"{keyword} requires at least one argument", line)
    arguments = rest[0]
    flags = []
    while (found := _FLAG.match(arguments)) is not None:
        flags.append((found[1].lower(), found[2] or ""))
        arguments = arguments[found.end() :]
    return Instruction(line, keyword, tuple(flags), arguments.strip())


def _heredoc_words(text: str, escape: str) -> Iterator[re.Match[str]]:
    """The words that begin a heredoc; a text whose quotes do not match has none, and is the shell's affair."""
    with contextlib.suppress(BuildFailure):
        for word in words.split_raw(text, escape) if "<<" in text else ():
            if found := _HEREDOC.fullmatch(word):
                yield found


def _heredoc(lines: list[str], position: int, found: re.Match[str], line: int) -> tuple[Heredoc, int]:
    name = found[2] or found[3] or found[4]
    content: list[str] = []
    while position < len(lines):
        text = lines[position].lstrip("\t") if found[1] else lines[position]
        position += 1
        if text == name:
            return Heredoc(name, "".join(f"{part}\n" for part in content), expand=bool(found[4])), position
        content.append(text)
    raise BuildFailure(f"unterminated heredoc {name}", line)
