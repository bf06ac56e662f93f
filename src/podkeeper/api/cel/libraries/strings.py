"""Strings by code points: the language's own tests of strings, and version 2 of cel-go's string extension."""

from __future__ import annotations

from podkeeper.api.cel.formatting import formatted
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.patterns import compiled
from podkeeper.api.cel.values import EvaluationError, Value, checked_length, checked_members

strings = Library("strings")

_QUOTED = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)
_SPACES = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_UPPER = str.maketrans({chr(code): chr(code - 32) for code in range(ord("a"), ord("z") + 1)})


@strings.method("contains(string, string) -> bool")
def contains(text: str, part: str) -> bool:
    return part in text


@strings.method("startsWith(string, string) -> bool")
def starts_with(text: str, part: str) -> bool:
    return text.startswith(part)


@strings.method("endsWith(string, string) -> bool")
def ends_with(text: str, part: str) -> bool:
    return text.endswith(part)


@strings.function("matches(string, string) -> bool")
@strings.method("matches(string, string) -> bool")
def matches(text: str, pattern: str) -> bool:
    """Whether the pattern, in RE2's syntax, is found anywhere."""
    return compiled(pattern).search(text) is not None


@strings.method("charAt(string, int) -> string")
def char_at(text: str, index: int) -> str:
    """One character; behind the last one the empty string."""
    _within(text, index)
    return text[index : index + 1]


@strings.method("indexOf(string, string) -> int", "indexOf(string, string, int) -> int")
def index_of(text: str, part: str, offset: int = 0) -> int:
    """Where a part stands first at the offset or behind; -1 when it doesn't."""
    if not part:
        return offset
    _within(text, offset)
    return text.find(part, offset)


@strings.method("lastIndexOf(string, string) -> int", "lastIndexOf(string, string, int) -> int")
def last_index_of(text: str, part: str, offset: int | None = None) -> int:
    """Where a part stands last at the offset or before; -1 when it doesn't."""
    if offset is None:
        return text.rfind(part)
    if not part:
        return offset
    _within(text, offset)
    return text.rfind(part, 0, offset + len(part))


@strings.method("join(list(string)) -> string", "join(list(string), string) -> string")
def join(parts: list[str], separator: str = "") -> str:
    for each in parts:
        if not isinstance(each, str):
            raise EvaluationError(f"join: invalid input: {each}")
    checked_length(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


@strings.method("lowerAscii(string) -> string")
def lower_ascii(text: str) -> str:
    return text.translate(_LOWER)


@strings.method("upperAscii(string) -> string")
def upper_ascii(text: str) -> str:
    return text.translate(_UPPER)


@strings.method("replace(string, string, string) -> string", "replace(string, string, string, int) -> string")
def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    times = text.count(old) if limit < 0 else min(limit, text.count(old))
    checked_length(len(text) + times * len(new))
    return text.replace(old, new, max(limit, -1))


@strings.method("split(string, string) -> list(string)", "split(string, string, int) -> list(string)")
def split(text: str, separator: str, limit: int = -1) -> list[str]:
    """At most ``limit`` parts, the last of them with the rest; an empty separator splits characters."""
    if limit == 0:
        return []
    checked_members(text.count(separator) + 1)
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


@strings.method("substring(string, int) -> string", "substring(string, int, int) -> string")
def substring(text: str, start: int, end: int | None = None) -> str:
    _within(text, start)
    if end is None:
        return text[start:]
    _within(text, end)
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


@strings.method("trim(string) -> string")
def trim(text: str) -> str:
    """Without Unicode's white space at both ends; Python's separators (U+001C to U+001F) are none to Go."""
    return text.strip(
        " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
    )


@strings.method("format(string, list(dyn)) -> string")
def format_(text: str, values: list[Value]) -> str:
    return formatted(text, values)


@strings.function("strings.quote(string) -> string")
def quote(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'


def _within(text: str, index: int) -> None:
    if not 0 <= index <= len(text):
        raise EvaluationError(f"index out of range: {index}")
