"""Rules in CEL are judged with the definition that has them: what does not compile, or costs too much, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.structural.schema import parse
from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.schemarules import schema_rules

Tree = dict[str, Any]
AT = "spec.validation.openAPIV3Schema"
RULES = "x-kubernetes-validations"


def mistakes(schema: Tree) -> list[tuple[str, str, str]]:
    found = Found()
    schema_rules(found, AT, parse(schema))
    return [(each.field.removeprefix(AT), each.reason, each.message) for each in found]


def spec(rule: Tree, **properties: Tree) -> Tree:
    inner = {"type": "object", "properties": {"n": {"type": "integer"}, **properties}, RULES: [rule]}
    return {"type": "object", "properties": {"spec": inner}}


PLACE = f".properties[spec].{RULES}[0]"


@pytest.mark.parametrize(
    ("rule", "member", "says"),
    [
        ({"rule": " "}, "rule", "Required value: rule is not specified"),
        ({"rule": "true", "message": " "}, "message", 'Invalid value: " ": message must be non-empty if specified'),
        (
            {"rule": "true", "message": "a\nb"},
            "message",
            'Invalid value: "a\\nb": message must not contain line breaks',
        ),
        (
            {"rule": "true ||\n false"},
            "message",
            "Required value: message must be specified if rule contains line breaks",
        ),
        (
            {"rule": "true", "messageExpression": " "},
            "messageExpression",
            "Required value: messageExpression must be non-empty if specified",
        ),
        (
            {"rule": "true", "reason": "Bad"},
            "reason",
            'Unsupported value: "Bad": supported values: "FieldValueDuplicate", "FieldValueForbidden", '
            '"FieldValueInvalid", "FieldValueRequired"',
        ),
        (
            {"rule": "true", "fieldPath": ".x"},
            "fieldPath",
            'Invalid value: ".x": fieldPath must be a valid path',
        ),
        (
            {"rule": "true", "fieldPath": ".n[0]"},
            "fieldPath",
            'Invalid value: ".n[0]": fieldPath must be a valid path',
        ),
        (
            {"rule": "true", "optionalOldSelf": True},
            "optionalOldSelf",
            "Invalid value: true: may not be set if oldSelf is not used in rule",
        ),
    ],
)
def test_what_a_rule_says_is_judged(rule: Tree, member: str, says: str) -> None:
    assert [(at, message) for at, _, message in mistakes(spec(rule))] == [(f"{PLACE}.{member}", says)]


def test_what_does_not_compile_is_shown() -> None:
    [(at, _, message)] = mistakes(spec({"rule": "self.m > 0"}))
    assert at == f"{PLACE}.rule"
    assert message.endswith("compilation failed: ERROR: <input>:1:5: undefined field 'm'\n | self.m > 0\n | ....^")
    assert mistakes(spec({"rule": "self.n"}))[0][2].endswith("cel expression must evaluate to a bool")
    [(at, _, message)] = mistakes(spec({"rule": "true", "messageExpression": "1"}))
    assert (at, message.rpartition(": ")[2]) == (
        f"{PLACE}.messageExpression",
        "messageExpression must evaluate to a string",
    )


def test_good_rules_are_taken() -> None:
    assert (
        mistakes(spec({"rule": "self.n > 0 && self.n >= oldSelf.n", "messageExpression": "'n'", "fieldPath": ".n"}))
        == []
    )
    assert mistakes(spec({"rule": "oldSelf.orValue(self).n <= self.n", "optionalOldSelf": True})) == []


def test_old_values_cannot_be_had_in_lists_without_keys() -> None:
    item = {"type": "object", "properties": {"a": {"type": "integer"}}, RULES: [{"rule": "self.a == oldSelf.a"}]}
    listed: Tree = {"type": "array", "maxItems": 10, "items": item}
    [(at, _, message)] = mistakes({"type": "object", "properties": {"list": listed}})
    assert at == f".properties[list].items.{RULES}[0].rule"
    assert message == (
        'Invalid value: "self.a == oldSelf.a": oldSelf cannot be used on the uncorrelatable portion of the schema '
        "within "
        f"{AT}.properties[list]"
    )
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}
    assert mistakes({"type": "object", "properties": {"list": listed | keys}}) == []


def test_what_may_cost_too_much_is_refused() -> None:
    strings = {"type": "array", "items": {"type": "string"}}
    schema = spec({"rule": "self.list.all(x, self.list.all(y, x == y))"}, list=strings)
    advice = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and "
    advice += "strings are declared)"
    what = "estimated rule cost total"
    assert mistakes(schema) == [
        (
            f"{PLACE}.rule",
            "FieldValueForbidden",
            f"Forbidden: estimated rule cost exceeds budget by factor of more than 100x {advice}",
        ),
        (
            f"{PLACE}.rule",
            "FieldValueForbidden",
            f"Forbidden: contributed to {what} exceeding cost limit for entire OpenAPIv3 schema",
        ),
        (
            "",
            "FieldValueForbidden",
            f"Forbidden: x-kubernetes-validations {what} for entire OpenAPIv3 schema exceeds budget by factor of more "
            f"than 100x {advice}",
        ),
    ]
    bounded = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}}
    assert mistakes(spec({"rule": "self.list.all(x, self.list.all(y, x == y))"}, list=bounded)) == []


def test_a_cost_counts_as_often_as_its_place_may_occur() -> None:
    item = {
        "type": "object",
        "properties": {"s": {"type": "string", "maxLength": 1000}},
        RULES: [{"rule": "self.s.contains('abc')"}],
    }
    assert mistakes({"type": "object", "properties": {"l": {"type": "array", "maxItems": 100, "items": item}}}) == []
    found = mistakes({"type": "object", "properties": {"l": {"type": "array", "items": item}}})
    assert "estimated rule cost exceeds budget" in found[0][2]
