"""Text to tokens. What is no token is an issue; reading goes on behind it.

Literals are read to their values here: numbers stay text until the parser knows their sign. Source: the lexical
section of the language definition, https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from podkeeper.api.cel.source import Issue

Kind = Literal["end", "int", "uint", "float", "string", "bytes", "name", "quoted", "word", "sign"]

#: Names that mean something to the grammar.
WORDS = frozenset({"in", "true", "false", "null"})
#: Names kept for languages that CEL is embedded in; they may name fields and functions, but no variable.
_RESERVED = "as break const continue else for function if import let loop package namespace return var void while"
RESERVED = frozenset(_RESERVED.split())

_LONG = r'"""(?:[^\\]|\\[\s\S])*?"""' + r"|'''(?:[^\\]|\\[\s\S])*?'''"
_SHORT = r'"(?:[^"\\\n\r]|\\[^\n\r])*"' + r"|'(?:[^'\\\n\r]|\\[^\n\r])*'"
_RAW = "|".join((r'"""[\s\S]*?"""', r"'''[\s\S]*?'''", r'"[^"\n\r]*"', r"'[^'\n\r]*'"))
_TOKEN = re.compile(
    rf"""
      (?P<space>[\t\f\ \r\n]+|//[^\n]*)
    | (?P<raw>(?:[rR][bB]?|[bB][rR])(?:{_RAW}))
    | (?P<text>[bB]?(?:{_LONG}|{_SHORT}))
    | (?P<float>(?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])
    | (?P<int>0x[0-9a-fA-F]+|[0-9]+)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>`[A-Za-z0-9_.\-/\ ]+`)
    | (?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{{}}])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))"
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` is what stands there; ``value`` what a string or bytes literal holds."""

    kind: Kind
    text: str
    at: int
    value: str | bytes = ""


def tokens(text: str) -> tuple[list[Token], list[Issue]]:
    """All tokens, the last of them of kind ``end``, and what was not understood."""
    found: list[Token] = []
    issues: list[Issue] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            end = _unknown_end(text, at)
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{shown(text[at:end])}'"))
            at = end
            continue
        if match.lastgroup != "space":
            _take(match, found, issues)
        at = match.end()
    found.append(Token("end", "<EOF>", len(text)))
    return found, issues


def _take(match: re.Match[str], found: list[Token], issues: list[Issue]) -> None:
    group, text, at = match.lastgroup, match.group(), match.start()
    if group in ("raw", "text"):
        try:
            found.append(_string(text, at, raw=group == "raw"))
        except ValueError as error:
            issues.append(Issue(at, str(error) or f"Syntax error: token recognition error at: '{shown(text)}'"))
            found.append(Token("string", text, at))
    elif group == "name":
        found.append(Token("word" if text in WORDS else "name", text, at))
    elif group == "quoted":
        found.append(Token("quoted", text, at, text[1:-1]))
    elif group in ("int", "uint", "float", "sign"):
        found.append(Token(group, text, at))  # type: ignore[arg-type]  # the group's names are kinds


def _unknown_end(text: str, at: int) -> int:
    """Where an unknown token ends: an open string takes its line, a lone ``|``, ``&`` or ``=`` the next character."""
    if text[at] in "\"'`":
        newline = text.find("\n", at)
        return len(text) if newline < 0 else newline
    return min(at + (2 if text[at] in "|&=" else 1), len(text))


def shown(text: str) -> str:
    """Text inside a message: on one line."""
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _string(text: str, at: int, raw: bool) -> Token:
    prefix = text[: re.match("[a-zA-Z]*", text).end()].lower()  # type: ignore[union-attr]  # it matches nothing at least
    body = text[len(prefix) :]
    quotes = 3 if body[:3] in ('"""', "'''") else 1
    body = body[quotes:-quotes]
    if not raw:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    if "b" in prefix:
        return Token("bytes", text, at, body.encode() if raw else _unescaped_bytes(body))
    return Token("string", text, at, body if raw else _unescaped(body))


def _unescaped(body: str) -> str:
    """Escapes to the code points that they name."""
    return "".join(chunk if isinstance(chunk, str) else chr(_scalar(chunk[1])) for chunk in _chunks(body))


def _unescaped_bytes(body: str) -> bytes:
    """In bytes, ``\\x`` and octal escapes are bytes, and the long ones are refused."""
    found = bytearray()
    for chunk in _chunks(body):
        if isinstance(chunk, str):
            found += chunk.encode("utf-8", "surrogatepass")
        elif chunk[0]:
            raise ValueError("")
        else:
            found.append(chunk[1])
    return bytes(found)


def _chunks(body: str) -> list[str | tuple[bool, int]]:
    """Plain text and escapes in turn; an escape is whether it was a long one (u, U), and its number."""
    found: list[str | tuple[bool, int]] = []
    at = 0
    while at < len(body):
        slash = body.find("\\", at)
        if slash < 0:
            found.append(body[at:])
            break
        found.append(body[at:slash])
        match = _ESCAPE.match(body, slash)
        if match is None:
            raise ValueError("")
        simple, byte, short, long, octal = match.groups()
        if simple:
            found.append((False, ord(_SIMPLE.get(simple, simple))))
        elif octal:
            found.append((False, int(octal, 8)))
        else:
            found.append((byte is None, int(byte or short or long, 16)))
        at = match.end()
    return found


def _scalar(number: int) -> int:
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise ValueError("invalid unicode code point")
    return number
