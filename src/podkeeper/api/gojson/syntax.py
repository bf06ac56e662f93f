"""What Go says of a text that is no JSON. Source: the scanner of encoding/json.

Python's reader finds the place, in C; only what stands around it is looked at here.
"""

from __future__ import annotations

import json
import re
from typing import Any

from podkeeper.api.gojson.quoting import quoted

_END = "unexpected end of JSON input"
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_CONSTANTS = re.compile(r"-?(NaN|Infinity)")
_NOT_BRACKETS = re.compile(r"[^][{}]+")
_WORDS = {"t": "true", "f": "false", "n": "null"}
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


def complaint(body: bytes) -> str:
    """The error's text for a body that cannot be read; empty for one that Python reads."""
    text = body.decode("utf-8", "replace")
    try:
        json.loads(text, parse_constant=_refuse)
    except RecursionError:
        return "exceeded max depth"
    except json.JSONDecodeError as error:
        return _told(error.doc, error.pos, error.msg)
    except _Constant:
        return _constant(text)
    except ValueError:  # a number with more digits than Python converts
        return "number out of range"
    return ""


class _Constant(Exception):
    """NaN or an infinity, which are no JSON."""


def _refuse(name: str) -> Any:
    raise _Constant(name)


def _constant(text: str) -> str:
    found = _CONSTANTS.search(_without_strings(text))
    if found is not None and found[0].startswith("-"):
        return "invalid character 'I' in numeric literal"
    return f"invalid character '{found[1][0] if found else 'N'}' looking for beginning of value"


def _without_strings(text: str) -> str:
    return _STRINGS.sub('""', text)


def _told(text: str, place: int, message: str) -> str:
    if message.startswith("Unexpected UTF-8 BOM"):
        return _invalid(text, 0, "looking for beginning of value")
    if message.startswith("Unterminated"):
        return _END
    if message.startswith("Invalid control"):
        return _invalid(text, place, "in string literal")
    if message.startswith("Invalid \\u"):
        return _broken_escape(text, text.rindex("\\u", 0, place + 2) + 2)
    if message.startswith("Invalid \\"):
        return _invalid(text, text.index("\\", place) + 1, "in string escape code")
    if message.startswith("Expecting property name"):
        return _invalid(text, place, "looking for beginning of object key string")
    if message.startswith("Expecting ':'"):
        return _invalid(text, place, "after object key")
    if message.startswith("Expecting value"):
        return _no_value(text, place)
    return _after_value(text, place, top=message.startswith("Extra data"))


def _invalid(text: str, place: int, where: str) -> str:
    if place >= len(text):
        return _END
    character = text[place]
    shown = chr(character.encode()[0]) if character > "\x7f" else character  # Go looks at bytes
    return f"invalid character {_character(shown)} {where}"


def _character(character: str) -> str:
    return "'\"'" if character == '"' else quoted(character, "'")


def _broken_escape(text: str, start: int) -> str:
    place = next((at for at in range(start, len(text)) if text[at] not in _HEXADECIMAL), len(text))
    return _invalid(text, place, "in \\u hexadecimal character escape")


def _no_value(text: str, place: int) -> str:
    """A word that is none of JSON's, a sign without digits, or something else."""
    character = text[place : place + 1]
    if character == "-":
        return _invalid(text, place + 1, "in numeric literal")
    word = _WORDS.get(character)
    if word is None:
        return _invalid(text, place, "looking for beginning of value")
    right = next(at for at, letter in enumerate(word) if text[place + at : place + at + 1] != letter)
    return _invalid(text, place + right, f"in literal {word} (expecting '{word[right]}')")


def _after_value(text: str, place: int, *, top: bool) -> str:
    before, character = text[place - 1 : place], text[place : place + 1]
    if before.isdigit() and character == ".":
        return _invalid(text, place + 1, "after decimal point in numeric literal")
    if before.isdigit() and character in ("e", "E"):
        signed = text[place + 1 : place + 2] in ("+", "-")
        return _invalid(text, place + 1 + signed, "in exponent of numeric literal")
    if top:
        return _invalid(text, place, "after top-level value")
    inside = "after object key:value pair" if _container(text[:place]) == "{" else "after array element"
    return _invalid(text, place, inside)


def _container(text: str) -> str:
    """The bracket that is still open at the end of a text."""
    depth = 0
    for bracket in reversed(_NOT_BRACKETS.sub("", _without_strings(text))):
        depth += 1 if bracket in "]}" else -1
        if depth < 0:
            return bracket
    return ""
