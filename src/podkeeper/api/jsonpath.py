r"""JSONPath as definitions of custom resources use it: plain paths, indexes, slices, wildcards, descent and filters.

    .status.conditions[?(@.type=="Ready")].status    .spec.ports[*].port    .metadata.labels.app\.kubernetes\.io/name

Source: https://kubernetes.io/docs/reference/kubectl/jsonpath/ (the template language around it is kubectl's alone).
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_NAME = re.compile(r"(?:\\.|[^\s.\[\]\\])+")
_FILTER = re.compile(r"\s*@(?P<path>[^=!<>]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<literal>.+?)\s*)?$", re.DOTALL)
_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class MalformedPath(ValueError):
    """The text is no path."""


class JsonPath:
    """A compiled path. ``find`` gives what is there, nothing where the path breaks off."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = tuple(_steps(text.strip().removeprefix("{").removesuffix("}")))

    def __repr__(self) -> str:
        return f"<JsonPath {self.text}>"

    def find(self, tree: Any) -> Iterator[Any]:
        """Every value at the path, in order."""
        values: Iterator[Any] = iter((tree,))
        for step in self._steps:
            values = _each(values, step)
        return values

    def first(self, tree: Any) -> Any:
        """The first of them, None if there is none."""
        return next(self.find(tree), None)


def _each(values: Iterator[Any], step: Step) -> Iterator[Any]:
    for value in values:
        yield from step(value)


def _steps(text: str) -> Iterator[Step]:
    at = 1 if text[:1] in ("$", "@") else 0
    while at < len(text):
        if text.startswith("..", at):
            yield _descend
            at += 1 if text.startswith("[", at + 2) else 2
            if at < len(text) and text[at] not in ".[":
                name, at = _name(text, at)
                yield name
        elif text[at] == ".":
            name, at = _name(text, at + 1)
            yield name
        elif text[at] == "[":
            step, at = _bracket(text, at + 1)
            yield step
        else:
            raise MalformedPath(f"unexpected {text[at]!r} at {at} in {text!r}")


def _name(text: str, at: int) -> tuple[Step, int]:
    found = _NAME.match(text, at)
    if found is None:
        raise MalformedPath(f"a name is missing at {at} in {text!r}")
    name = re.sub(r"\\(.)", r"\1", found[0])
    return (_all if name == "*" else _member(name)), found.end()


def _bracket(text: str, at: int) -> tuple[Step, int]:
    if text.startswith("?(", at):
        end = text.find(")]", at)
        if end < 0:
            raise MalformedPath(f"a filter has no end in {text!r}")
        return _filter(text[at + 2 : end]), end + 2
    end = text.find("]", at)
    if end < 0:
        raise MalformedPath(f"a bracket has no end in {text!r}")
    inner = text[at:end].strip()
    if inner == "*":
        return _all, end + 1
    if inner[:1] in ("'", '"') and inner[-1:] == inner[:1] and len(inner) > 1:
        return _member(inner[1:-1]), end + 1
    return _items(inner), end + 1


def _items(text: str) -> Step:
    try:
        bounds = [int(part) if part.strip() else None for part in text.split(":")]
    except ValueError:
        raise MalformedPath(f"{text!r} is no index") from None
    if len(bounds) > 3 or (len(bounds) == 1 and bounds[0] is None):
        raise MalformedPath(f"{text!r} is no index")
    chosen = slice(*bounds) if len(bounds) > 1 else None
    index = bounds[0] or 0

    def step(value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        if chosen is not None:
            yield from value[chosen]
        elif -len(value) <= index < len(value):
            yield value[index]

    return step


def _member(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(value: Any) -> Iterator[Any]:
    pending = [value]
    while pending:
        value = pending.pop()
        yield value
        pending.extend(reversed(list(_all(value))))


def _filter(text: str) -> Step:
    found = _FILTER.match(text)
    if found is None:
        raise MalformedPath(f"{text!r} is no filter")
    path = JsonPath(found["path"])
    compare, wanted = _OPERATORS.get(found["operator"] or ""), _literal(found["literal"])

    def holds(item: Any) -> bool:
        values = list(path.find(item))
        if compare is None:
            return bool(values)
        try:
            return bool(values) and bool(compare(values[0], wanted))
        except TypeError:
            return False

    def step(value: Any) -> Iterator[Any]:
        return (item for item in _all(value) if holds(item))

    return step


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        raise MalformedPath(f"{text!r} is no value") from None
