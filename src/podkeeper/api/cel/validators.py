"""Literals that cannot mean anything: durations, timestamps and patterns written wrong are found before any run."""

from __future__ import annotations

from collections.abc import Callable

from podkeeper.api.cel.ast import Call, Literal, Node, children
from podkeeper.api.cel.checker import Checked
from podkeeper.api.cel.patterns import compiled
from podkeeper.api.cel.source import Issue
from podkeeper.api.cel.times import parse_duration, parse_timestamp
from podkeeper.api.cel.values import EvaluationError

_PARSERS: dict[str, Callable[[str], object]] = {
    "duration": parse_duration,
    "timestamp": parse_timestamp,
    "matches": compiled,
}


def issues(checked: Checked) -> list[Issue]:
    """What is wrong with the literals of a tree. A call's last argument is the one that is parsed."""
    found: list[Issue] = []
    pending: list[Node] = [checked.root]
    while pending:
        node = pending.pop()
        pending.extend(children(node))
        if isinstance(node, Call) and node.function in _PARSERS and node.arguments:
            argument = node.arguments[-1]
            if isinstance(argument, Literal) and isinstance(argument.value, str):
                found += _issue(node.function, argument, argument.value)
    return found


def _issue(function: str, argument: Literal, text: str) -> list[Issue]:
    try:
        _PARSERS[function](text)
    except EvaluationError:
        return [Issue(argument.at, f"invalid {function} argument")]
    return []
