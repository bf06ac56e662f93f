"""Label selectors: requirements on labels, all of which must hold.

``parse`` reads the grammar of queries (``app in (a,b),!canary,tier=web``), ``from_label_selector`` and ``from_tree``
the LabelSelector of objects. Errors are SelectorError with upstream's texts. Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from podkeeper.api import names

if TYPE_CHECKING:
    from podkeeper.api.meta.v1 import LabelSelector

Labels = Mapping[str, str]

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "in", "notin", "exists", "!"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS = "=", "==", "!=", "gt", "lt"
_BINARY_OPERATORS = (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS)
_SYMBOLS = {EQUALS: "=", DOUBLE_EQUALS: "==", NOT_EQUALS: "!=", GREATER: ">", LESS: "<"}
_OBJECT_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": DOES_NOT_EXIST}
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")


class SelectorError(ValueError):
    """The selector cannot be understood; the message is upstream's."""


class Requirement(Struct, frozen=True, dict=True):
    """One condition on one label key. Make it with ``requirement``, which checks it."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether these labels meet the condition; an absent label meets ``notin`` and ``!=``."""
        return self.test(labels)

    @cached_property
    def test(self) -> Callable[[Labels], bool]:
        """The condition as one function."""
        return _compile(self.key, self.operator, self.values)

    def __str__(self) -> str:
        if self.operator == EXISTS:
            return self.key
        if self.operator == DOES_NOT_EXIST:
            return f"!{self.key}"
        listed = ",".join(sorted(self.values))
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({listed})"
        return f"{self.key}{_SYMBOLS[self.operator]}{listed}"


class Selector(Struct, frozen=True, dict=True):
    """Requirements sorted by key, all of which must hold. ``nothing`` matches no object whatever its labels."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Labels) -> bool:
        """Whether an object with these labels is selected."""
        return not self.nothing and all(test(labels) for test in self._tests)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.nothing and not self.requirements

    @cached_property
    def equalities(self) -> Mapping[str, str]:
        """The labels that a match must carry with exactly this value, for a look-up in an index."""
        exact = (EQUALS, DOUBLE_EQUALS, IN)
        return {r.key: r.values[0] for r in self.requirements if r.operator in exact and len(r.values) == 1}

    @cached_property
    def _tests(self) -> tuple[Callable[[Labels], bool], ...]:
        return tuple(requirement.test for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def requirement(key: str, operator: str, values: Iterable[str] = (), path: str = "") -> Requirement:
    """A checked requirement; raises SelectorError naming the field at fault, below ``path``."""
    listed = tuple(values)
    found = [_invalid(_child(path, "key"), key, names.label_key(key))] if names.label_key(key) else []
    found += _operator_errors(operator, listed, path)
    for index, value in enumerate(listed):
        if broken := names.label_value(value):
            found.append(_invalid(f"{_child(path, 'values')}[{index}][{key}]", value, broken))
    if found:
        raise SelectorError(found[0] if len(found) == 1 else f"[{', '.join(found)}]")
    return Requirement(key, operator, listed)


def from_set(labels: Labels) -> Selector:
    """The selector of a plain map (a Service's, a ReplicationController's): every pair must be there; empty is all."""
    return Selector(tuple(Requirement(key, EQUALS, (labels[key],)) for key in sorted(labels)))


def from_label_selector(selector: LabelSelector | None) -> Selector:
    """An object's LabelSelector: None selects nothing, an empty one everything. Raises SelectorError."""
    if selector is None:
        return NOTHING
    expressions = tuple((term.key, term.operator, tuple(term.values)) for term in selector.match_expressions)
    return _from_parts(tuple(selector.match_labels.items()), expressions)


def from_tree(selector: Mapping[str, Any] | None) -> Selector:
    """The same for a LabelSelector that is a plain JSON tree."""
    if selector is None:
        return NOTHING
    terms = selector.get("matchExpressions") or ()
    expressions = tuple((t.get("key", ""), t.get("operator", ""), tuple(t.get("values") or ())) for t in terms)
    return _from_parts(tuple((selector.get("matchLabels") or {}).items()), expressions)


@lru_cache(maxsize=1024)
def _from_parts(
    pairs: tuple[tuple[str, str], ...], expressions: tuple[tuple[str, str, tuple[str, ...]], ...]
) -> Selector:
    made = [requirement(key, EQUALS, (value,)) for key, value in pairs]
    for key, operator, values in expressions:
        if operator not in _OBJECT_OPERATORS:
            raise SelectorError(f'"{operator}" is not a valid label selector operator')
        made.append(requirement(key, _OBJECT_OPERATORS[operator], values))
    return Selector(tuple(sorted(made, key=lambda r: r.key)))


@lru_cache(maxsize=1024)
def parse(text: str) -> Selector:
    """A selector from a query's text; the empty text selects everything. Raises SelectorError."""
    return Selector(tuple(sorted(_Parser(text).requirements(), key=lambda r: r.key)))


class _Parser:
    """Recursive descent over the tokens of one text; ``in`` and ``notin`` are plain words where a value stands."""

    _TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+)")
    _END = ""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [*self._TOKEN.findall(text), self._END]
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while (word := self._peek()) != self._END:
            if not (self._is_word(word) or word == "!"):
                raise SelectorError(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            self._comma()
        return found

    def _comma(self) -> None:
        word = self._next()
        if word == ",":
            following = self._peek()
            if not (self._is_word(following) or following == "!"):
                raise SelectorError(f"found '{following}', expected: identifier after ','")
        elif word != self._END:
            raise SelectorError(f"found '{word}', expected: ',' or 'end of string'")

    def _requirement(self) -> Requirement:
        word = self._next()
        negated = word == "!"
        key = self._next() if negated else word
        if not self._is_word(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        if broken := names.label_key(key):
            raise SelectorError(_invalid("<nil>", key, broken))
        if negated or self._peek() in (self._END, ","):
            return requirement(key, DOES_NOT_EXIST if negated else EXISTS)
        operator = self._operator()
        values = self._values() if operator in (IN, NOT_IN) else [self._exact()]
        return requirement(key, operator, sorted(set(values)))

    def _operator(self) -> str:
        word = self._next()
        operator = {"<": LESS, ">": GREATER}.get(word, word)
        if operator not in _BINARY_OPERATORS or word in (GREATER, LESS):
            raise SelectorError(f"found '{word}', expected: {', '.join(_BINARY_OPERATORS)}")
        return operator

    def _exact(self) -> str:
        if self._peek() in (self._END, ","):
            return ""
        word = self._next()
        if not self._is_word(word):
            raise SelectorError(f"found '{word}', expected: identifier")
        return word

    def _values(self) -> list[str]:
        word = self._next()
        if word != "(":
            raise SelectorError(f"found '{word}' expected: '('")
        first = self._peek()
        if not (self._is_word(first) or first in (",", ")")):
            raise SelectorError(f"found '{first}', expected: ',', ')' or identifier")
        values = []
        while True:
            values.append(self._next() if self._is_word(self._peek()) else "")
            word = self._next()
            if word == ")":
                return values
            if word != ",":
                raise SelectorError(f"found '{word}', expected: ',' or ')'")
            following = self._peek()
            if not (self._is_word(following) or following in (",", ")")):
                raise SelectorError(f"found '{following}', expected: ',', or identifier")

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        word = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return word

    @staticmethod
    def _is_word(word: str) -> bool:
        return word != "" and word[0] not in "=!(),<>"


def _operator_errors(operator: str, values: tuple[str, ...], path: str) -> list[str]:
    at = _child(path, "values")
    text = "[" + ",".join(f'"{value}"' for value in values) + "]"
    if operator in (IN, NOT_IN):
        rule = "" if values else "for 'in', 'notin' operators, values set can't be empty"
    elif operator in (EQUALS, DOUBLE_EQUALS, NOT_EQUALS):
        rule = "" if len(values) == 1 else "exact-match compatibility requires one single value"
    elif operator in (EXISTS, DOES_NOT_EXIST):
        rule = "values set must be empty for exists and does not exist" if values else ""
    elif operator in (GREATER, LESS):
        return _bound_errors(values, at, text)
    else:
        supported = ", ".join(f'"{name}"' for name in sorted((*_BINARY_OPERATORS, EXISTS, DOES_NOT_EXIST)))
        return [f'{_child(path, "operator")}: Unsupported value: "{operator}": supported values: {supported}']
    return [f"{at}: Invalid value: {text}: {rule}"] if rule else []


def _bound_errors(values: tuple[str, ...], at: str, text: str) -> list[str]:
    count = "for 'Gt', 'Lt' operators, exactly one value is required"
    found = [] if len(values) == 1 else [f"{at}: Invalid value: {text}: {count}"]
    kind = "for 'Gt', 'Lt' operators, the value must be an integer"
    broken = [index for index, value in enumerate(values) if as_integer(value) is None]
    return found + [f'{at}[{index}]: Invalid value: "{values[index]}": {kind}' for index in broken]


def _invalid(path: str, value: str, messages: Iterable[str]) -> str:
    return f'{path}: Invalid value: "{value}": {"; ".join(messages)}'


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def as_integer(text: str) -> int | None:
    """The 64-bit integer that a label's value spells, or None."""
    if not _INTEGER.match(text) or len(text) > 20:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _compile(key: str, operator: str, values: tuple[str, ...]) -> Callable[[Labels], bool]:
    wanted = frozenset(values)
    if operator in (EQUALS, DOUBLE_EQUALS, IN):
        if len(wanted) == 1:
            (only,) = wanted
            return lambda labels: labels.get(key) == only
        return lambda labels: labels.get(key) in wanted
    if operator in (NOT_EQUALS, NOT_IN):
        return lambda labels: labels.get(key) not in wanted
    if operator == EXISTS:
        return lambda labels: key in labels
    if operator == DOES_NOT_EXIST:
        return lambda labels: key not in labels
    return _compile_bound(key, operator, values)


def _compile_bound(key: str, operator: str, values: tuple[str, ...]) -> Callable[[Labels], bool]:
    bound = as_integer(values[0])

    def test(labels: Labels) -> bool:
        number = as_integer(labels.get(key, ""))
        if number is None or bound is None:
            return False
        return number > bound if operator == GREATER else number < bound

    return test
