"""The text of an expression, and what is wrong with it at which place.

Places are offsets in code points. Issues print as cel-go prints them, with the line and a caret below it::

    ERROR: <input>:1:5: undefined field 'replicas'
     | self.replicas > 1
     | ....^
"""

from __future__ import annotations

from dataclasses import dataclass

DESCRIPTION = "<input>"
#: More code points than this are not read at all.
SIZE_LIMIT = 100_000
#: Nodes of a tree below one another: constructs inside one another, operators in one chain.
DEPTH_LIMIT = 250
#: Brackets inside one another. cel-go allows 250; reading one takes eight calls, and Python's stack ends at a thousand.
NESTING_LIMIT = 90
#: Errors in syntax after which a parser gives up.
SYNTAX_ERROR_LIMIT = 30


@dataclass(frozen=True, slots=True, order=True)
class Issue:
    """One thing that is wrong, at an offset in code points."""

    at: int
    message: str


class CelError(ValueError):
    """An expression that cannot be compiled. ``issues`` stand in the order of their places."""

    def __init__(self, text: str, issues: list[Issue]) -> None:
        self.text = text
        self.issues = tuple(sorted(issues, key=lambda issue: issue.at))
        super().__init__("\n".join(display(text, issue) for issue in self.issues))


def display(text: str, issue: Issue) -> str:
    """An issue as a person reads it: where, what, and the line with a caret."""
    line, column = position(text, issue.at)
    source = text.split("\n")[line - 1]
    dots = "".join("." if ord(each) < 0x80 else "．" for each in source[:column])
    caret = "^" if column >= len(source) or ord(source[column]) < 0x80 else "＾"
    head = f"ERROR: {DESCRIPTION}:{line}:{column + 1}: {issue.message}"
    return f"{head}\n | {source.replace(chr(9), ' ')}\n | {dots}{caret}"


def position(text: str, at: int) -> tuple[int, int]:
    """The line, counted from 1, and the column, counted from 0, of an offset."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1)
