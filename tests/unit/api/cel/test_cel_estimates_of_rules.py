"""What rules may cost at most by the schemas that they stand in: cases of upstream's test of estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podkeeper.api.cel import Environment, of_structural
from podkeeper.api.cel.estimation import RULE_LIMIT, over_budget
from podkeeper.api.structural.schema import parse

Tree = dict[str, Any]
Maker = Callable[[int | None], Tree]


def scalar(name: str) -> Tree:
    if name == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    if name in ("duration", "date", "date-time"):
        return {"type": "string", "format": name}
    return {"type": name}


def bounded(schema: Tree, word: str, most: int | None) -> Tree:
    return schema if most is None else {**schema, word: most}


def array(items: Tree) -> Maker:
    return lambda most: bounded({"type": "array", "items": items}, "maxItems", most)


def mapping(values: Tree) -> Maker:
    return lambda most: bounded({"type": "object", "additionalProperties": values}, "maxProperties", most)


def text(**more: Any) -> Maker:
    return lambda most: bounded({"type": "string", **more}, "maxLength", most)


REQUIRED: Tree = {
    "type": "object",
    "properties": {"required": {"type": "string"}, "optional": {"type": "string"}},
    "required": ["required"],
}
OVER = None

#: Where, the rule, the cost without limits (OVER: beyond the limit of a rule), a limit, the cost with it.
CASES: list[tuple[Maker, str, int | None, int, int]] = [
    (array(scalar("number")), "self.all(x, true)", 4718591, 10, 32),
    (array(scalar("string")), "self.all(x, true)", 3145727, 20, 62),
    (array(scalar("boolean")), "self.all(x, true)", 1887437, 5, 17),
    (array(array(scalar("number"))(None)), "self.all(x, true)", 3145727, 100, 302),
    (mapping(scalar("number")), "self.all(x, true)", 1348169, 10, 32),
    (mapping(scalar("number")), "has(self.x)", 1, 100, 1),
    (mapping(scalar("string")), "self.all(x, true)", 1179647, 3, 11),
    (mapping(scalar("boolean")), "self.all(x, true)", 943718, 100, 302),
    (text(), "self.contains('test')", 314574, 10, 5),
    (text(), "self.startsWith('test')", 2, 15, 2),
    (text(), "self.endsWith('test')", 2, 30, 2),
    (text(), 'size(self + "hello") > size("hello")', 314578, 4, 7),
    (array(scalar("number")), "self[1] == 0.0", 2, 5000, 2),
    (array(scalar("string")), "self[1] == self[1]", 314577, 8, 314577),
    (array(scalar("number")), "self.all(x, self.all(y, true))", OVER, 10, 352),
    (array(scalar("number")), "self.all(x, self.all(y, self.all(z, true)))", OVER, 10, 3552),
    (text(), 'self.matches("x")', 314574, 50, 22),
    (text(), '"".matches("(((((((((())))))))))[0-9]")', 7, 10, 7),
    (text(), 'self.matches("")', 1, 100, 1),
    (text(), 'self == "x"', 2, 0, 1),
    (text(format="byte"), 'self == b"x"', 2, 0, 1),
    (array(scalar("number")), "self.all(x, x == 0.0)", 6291454, 3 * 1024 * 2048, 25165826),
    (array(scalar("int-or-string")), "self.all(x, true)", 4718591, 10, 32),
    (array(scalar("int-or-string")), "self[0] == 5", 3, 10, 3),
    (array(array(scalar("number"))(None)), "self[0][0] == -1.0", 3, 51, 3),
    (array(mapping(scalar("number"))(None)), "self[0].x > 2.0", 4, 3000, 4),
    (array(scalar("duration")), "self.all(x, true)", 2359295, 5, 17),
    (array(scalar("duration")), "self[0].getHours() == 2", 4, 525, 4),
    (array(scalar("date")), "self.all(x, true)", 725936, 15, 47),
    (array(scalar("date")), "self[2].getDayOfMonth() == 13", 4, 42, 4),
    (array(scalar("date-time")), "self.all(x, true)", 428963, 25, 77),
    (array(scalar("date-time")), "self[2].getMinutes() == 45", 4, 99, 4),
    (mapping(scalar("int-or-string")), "self.all(x, true)", 1348169, 15, 47),
    (mapping(REQUIRED), "self.all(x, true)", 428963, 20, 62),
    (mapping(mapping(scalar("number"))(None)), "self.all(x, true)", 1179647, 10, 32),
    (mapping(array(scalar("number"))(None)), "self.all(x, true)", 1179647, 25, 77),
    (mapping(scalar("duration")), "self.all(x, true)", 1048577, 5, 17),
]


def most(schema: Tree, rule: str) -> int:
    declared = of_structural(parse(schema))
    assert declared is not None
    return Environment({"self": declared}).compile(rule).estimate().high


@pytest.mark.parametrize(("make", "rule", "unbounded", "limit", "bounded_cost"), CASES)
def test_estimates_are_upstreams(make: Maker, rule: str, unbounded: int | None, limit: int, bounded_cost: int) -> None:
    found = most(make(None), rule)

    assert found > RULE_LIMIT if unbounded is OVER else found == unbounded
    assert most(make(limit), rule) == bounded_cost


@pytest.mark.parametrize(
    ("cost", "factor"), [(11_000_000, "1.100000x"), (25_000_000, "2.5x"), (10**12, "more than 100x")]
)
def test_the_message_about_a_rule_beyond_its_limit(cost: int, factor: str) -> None:
    assert over_budget("estimated rule cost", cost, RULE_LIMIT) == (
        f"estimated rule cost exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, "
        "maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
