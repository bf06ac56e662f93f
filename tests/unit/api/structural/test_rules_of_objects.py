"""Rules in CEL over custom objects: what they blame, in which words, and when they look at what was."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.errors import Cause
from podkeeper.api.structural import validate
from podkeeper.api.structural.rules import RuleBook
from podkeeper.api.structural.schema import parse

Tree = dict[str, Any]
INTEGER: Tree = {"type": "integer"}
STRING: Tree = {"type": "string"}


def rules(*given: Tree | str) -> Tree:
    return {"x-kubernetes-validations": [{"rule": each} if isinstance(each, str) else each for each in given]}


def fields(more: Tree | None = None, **properties: Tree) -> Tree:
    return {"type": "object", "properties": properties, **(more or {})}


def judged(schema: Tree, new: Tree, old: Tree | None = None) -> list[tuple[str, str]]:
    return [(each.field, each.message) for each in RuleBook(parse(schema)).judge(new, old)]


SPEC = fields(rules("self.low <= self.high"), low=INTEGER, high=INTEGER)


def test_a_rule_that_does_not_hold_is_told_at_its_place() -> None:
    assert judged(fields(spec=SPEC), {"spec": {"low": 1, "high": 2}}) == []
    told = 'Invalid value: "object": failed rule: self.low <= self.high'
    assert judged(fields(spec=SPEC), {"spec": {"low": 3, "high": 2}}) == [("spec", told)]


def test_at_the_root_names_are_seen_and_the_path_is_nil() -> None:
    schema = fields(rules("self.metadata.name.startsWith('a')"))
    assert judged(schema, {"metadata": {"name": "b"}})[0][0] == "<nil>"
    assert judged(schema, {"metadata": {"name": "a"}}) == []


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        ({"message": " too low "}, Cause("FieldValueInvalid", 'Invalid value: "object": too low', "spec")),
        (
            {"messageExpression": "'low is %d'.format([self.low])", "message": "no"},
            Cause("FieldValueInvalid", 'Invalid value: "object": low is 3', "spec"),
        ),
        (
            {"messageExpression": "string(1 / (self.low - 3))", "message": "fallback"},
            Cause("FieldValueInvalid", 'Invalid value: "object": fallback', "spec"),
        ),
        (
            {"reason": "FieldValueForbidden", "message": "m", "fieldPath": ".low"},
            Cause("FieldValueForbidden", "Forbidden: m", "spec.low"),
        ),
        ({"reason": "FieldValueRequired", "message": "m"}, Cause("FieldValueRequired", "Required value: m", "spec")),
        ({"reason": "FieldValueDuplicate"}, Cause("FieldValueDuplicate", 'Duplicate value: "object"', "spec")),
    ],
)
def test_a_rule_says_what_it_wants_said(rule: Tree, cause: Cause) -> None:
    schema = fields(spec=fields(rules({"rule": "self.low < 2", **rule}), low=INTEGER))
    assert RuleBook(parse(schema)).judge({"spec": {"low": 3}}, None) == [cause]


def test_transition_rules_wait_for_an_old_value() -> None:
    schema = fields(spec=fields(kept={**STRING, **rules("self == oldSelf")}))
    assert judged(schema, {"spec": {"kept": "a"}}) == []
    assert judged(schema, {"spec": {"kept": "a"}}, {"spec": {}}) == []
    assert judged(schema, {"spec": {"kept": "a"}}, {"spec": {"kept": "a"}}) == []
    assert judged(schema, {"spec": {"kept": "b"}}, {"spec": {"kept": "a"}}) == [
        ("spec.kept", 'Invalid value: "string": failed rule: self == oldSelf')
    ]


def test_an_optional_old_self_is_asked_for_new_values_too() -> None:
    rule = {"rule": "oldSelf.hasValue() ? oldSelf.value().n <= self.n : self.n == 0", "optionalOldSelf": True}
    schema = fields(spec=fields(rules(rule), n=INTEGER))
    assert judged(schema, {"spec": {"n": 0}}) == []
    assert len(judged(schema, {"spec": {"n": 1}})) == 1
    assert judged(schema, {"spec": {"n": 2}}, {"spec": {"n": 1}}) == []
    assert len(judged(schema, {"spec": {"n": 0}}, {"spec": {"n": 1}})) == 1


def test_items_of_a_map_list_are_compared_by_their_keys() -> None:
    item = fields(rules("self.port == oldSelf.port"), name=STRING, port=INTEGER)
    listed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    schema = fields(ports={"type": "array", "items": item, **listed})
    old = {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    assert judged(schema, {"ports": [{"name": "b", "port": 2}, {"name": "c", "port": 9}]}, old) == []
    [(at, _)] = judged(schema, {"ports": [{"name": "b", "port": 3}]}, old)
    assert at == "ports[0]"


def test_what_has_not_changed_is_not_blamed() -> None:
    schema = fields(spec=SPEC, other=STRING)
    bad = {"low": 3, "high": 2}
    assert judged(schema, {"spec": bad, "other": "new"}, {"spec": bad}) == []
    assert len(judged(schema, {"spec": bad | {"high": 1}}, {"spec": bad})) == 1
    limited = parse(fields(spec=fields(n={**INTEGER, "minimum": 5}, on={"type": "boolean"})))
    assert validate({"spec": {"n": 1, "on": True}}, limited, {"spec": {"n": 1}}) == []
    assert validate({"spec": {"n": 2}}, limited, {"spec": {"n": 1}}) != []
    assert validate({"spec": {"n": True}}, limited, {"spec": {"n": 1}}) != []


def test_rules_of_maps_and_of_branches_that_all_hold() -> None:
    values = {"type": "object", "additionalProperties": {**INTEGER, **rules("self > 0")}}
    assert judged(fields(map=values), {"map": {"a": 1, "b": 0}})[0][0] == "map[b]"
    schema = fields(spec={**fields(n=INTEGER), "allOf": [rules("self.n > 1"), rules("self.n > 2")]})
    assert [message for _, message in judged(schema, {"spec": {"n": 2}})] == [
        'Invalid value: "object": failed rule: self.n > 2'
    ]


def test_failures_are_told_and_the_budget_ends_all() -> None:
    schema = fields(
        spec=fields(rules("self.list[3] == 1", "1 / self.n > 0"), n=INTEGER, list={"type": "array", "items": INTEGER})
    )
    assert judged(schema, {"spec": {"n": 0, "list": []}}) == [
        ("spec", 'Invalid value: "object": index out of bounds: 3 evaluating rule: self.list[3] == 1'),
        ("spec", 'Invalid value: "object": division by zero evaluating rule: 1 / self.n > 0'),
    ]
    dear = "self.all(a, self.all(b, a + b >= 0))"
    schema = fields(list={"type": "array", "items": INTEGER, **rules(dear, "false")})
    [(at, message)] = judged(schema, {"list": list(range(1000))})
    assert at == "list"
    assert message == (
        "Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation rules will "
        f"be run due to call cost exceeds limit for rule: {dear}"
    )
