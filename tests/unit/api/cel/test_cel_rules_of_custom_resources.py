"""Rules over custom resources that hold, with what each of them costs: upstream's test of stable costs."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.cel import CelError, Environment, EvaluationError, of_structural
from podkeeper.api.structural.schema import parse

Tree = dict[str, Any]

STRING: Tree = {"type": "string"}
INTEGER: Tree = {"type": "integer"}
NUMBER: Tree = {"type": "number"}
BOOLEAN: Tree = {"type": "boolean"}
INT_OR_STRING: Tree = {"x-kubernetes-int-or-string": True}
UNKNOWN: Tree = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
ANYTHING: Tree = {"x-kubernetes-preserve-unknown-fields": True}
EMBEDDED: Tree = {"type": "object", "x-kubernetes-embedded-resource": True}


def formatted(name: str) -> Tree:
    return {"type": "string", "format": name}


def array(items: Tree, **more: Any) -> Tree:
    return {"type": "array", "items": items, **more}


def set_of(items: Tree) -> Tree:
    return array(items, **{"x-kubernetes-list-type": "set"})


def map_list(keys: list[str], **properties: Tree) -> Tree:
    more = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
    return array({"type": "object", "properties": properties}, **more)


def mapping(values: Tree) -> Tree:
    return {"type": "object", "additionalProperties": values}


def fields(**properties: Tree) -> Tree:
    return {"type": "object", "properties": properties}


def nullable(schema: Tree) -> Tree:
    return {**schema, "nullable": True}


def numbered(*pairs: tuple[Tree, Any]) -> tuple[Tree, Tree]:
    """A schema and an object whose fields are val1, val2, ..."""
    names = [f"val{index}" for index in range(1, len(pairs) + 1)]
    schema = fields(**{name: schema for name, (schema, _) in zip(names, pairs, strict=True)})
    return schema, {name: value for name, (_, value) in zip(names, pairs, strict=True)}


def literal(value: str) -> str:
    return f"self.val1 == self.val2 && self.val1 == {value} && self.val2 == {value}"


INT_MAX = 2**63 - 1
ROOK = "Rook takes 👑"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "foo", "generateName": "pickItForMe", "namespace": "xyz"},
    "spec": {"field1": "a"},
}
KV = fields(k=STRING, v=STRING)
PERCENT = (
    "type(self.min) == int ? self.current <= self.min : double(self.current) / double(self.available) >= "
    "double(self.min.replace('%', '')) / 100.0"
)

CASES: dict[str, tuple[tuple[Tree, Tree], dict[str, int]]] = {
    "integers": (
        numbered(*[(INTEGER, INT_MAX)] * 2, *[(INTEGER, 2**31 - 1)] * 2, *[(INTEGER, INT_MAX)] * 2),
        {
            literal(str(INT_MAX)): 11,
            "self.val1 == self.val6": 5,
            "type(self.val1) == int": 4,
            "self.val3 + 1 == 2147483647 + 1": 5,
        },
    ),
    "numbers": (
        numbered((NUMBER, 1.5), (NUMBER, 1.5), (NUMBER, 1)),
        {
            literal("1.5"): 11,
            "type(self.val1) == double": 4,
            "type(self.val3) == double": 4,
            "self.val3 == 1.0": 3,
        },
    ),
    "numeric comparisons": (
        numbered((INTEGER, 5), (NUMBER, 10.0), (NUMBER, 10)),
        {
            "double(self.val1) < self.val2": 6,
            "self.val1 < int(self.val2)": 6,
            "double(5) < 10.0": 1,
            "5 < int(10.0)": 1,
            "double(self.val1) < 10.0": 4,
        },
    ),
    "strings": (
        numbered((STRING, ROOK), (STRING, ROOK)),
        {
            literal(f"'{ROOK}'"): 14,
            "self.val1.startsWith('Rook')": 4,
            "!self.val1.startsWith('knight')": 5,
            "self.val1.matches('^[^0-9]*$')": 8,
            "!self.val1.matches('^[0-9]*$')": 7,
            "type(self.val1) == string": 4,
            "size(self.val1) == 12": 4,
            "self.val1.charAt(3) == 'k'": 4,
            "self.val1.indexOf('o') == 1": 4,
            "self.val1.indexOf('o', 2) == 2": 4,
            "self.val1.replace(' ', 'x') == 'Rookxtakesx👑'": 7,
            "self.val1.replace(' ', 'x', 1) == 'Rookxtakes 👑'": 7,
            "self.val1.split(' ') == ['Rook', 'takes', '👑']": 6,
            "self.val1.split(' ', 2) == ['Rook', 'takes 👑']": 6,
            "self.val1.substring(5) == 'takes 👑'": 5,
            "self.val1.substring(0, 4) == 'Rook'": 5,
            "self.val1.substring(4, 10).trim() == 'takes'": 6,
            "self.val1.upperAscii() == 'ROOK TAKES 👑'": 6,
            "self.val1.lowerAscii() == 'rook takes 👑'": 6,
        },
    ),
    "escapes": (
        numbered((STRING, "l1\nl2"), (STRING, "l1\nl2")),
        {literal("'l1\\nl2'"): 11, "self.val1 == '''l1\nl2'''": 3},
    ),
    "bytes": (
        numbered((formatted("byte"), "QUI="), (formatted("byte"), "QUI=")),
        {
            "self.val1 == self.val2": 5,
            "self.val1 == b'AB'": 3,
            "type(self.val1) == bytes": 4,
            "size(self.val1) == 2": 4,
        },
    ),
    "booleans": (
        numbered((BOOLEAN, True), (BOOLEAN, True), (BOOLEAN, False)),
        {literal("true"): 11, "self.val1 != self.val3": 5, "type(self.val1) == bool": 4},
    ),
    "durations": (
        numbered(*[(formatted("duration"), "1h2m3s4ms")] * 2),
        {
            literal("duration('1h2m3s4ms')"): 11,
            "self.val1 == duration('1h2m') + duration('3s4ms')": 4,
            "self.val1.getHours() == 1": 4,
            "type(self.val1) == google.protobuf.Duration": 4,
        },
    ),
    "dates": (
        numbered(*[(formatted("date"), "1997-07-16")] * 2),
        {
            literal("timestamp('1997-07-16T00:00:00.000Z')"): 11,
            "self.val1.getDate() == 16": 4,
            "type(self.val1) == google.protobuf.Timestamp": 4,
        },
    ),
    "times": (
        numbered(*[(formatted("date-time"), "2011-08-18T19:03:37.010000000+01:00")] * 2),
        {
            literal("timestamp('2011-08-18T19:03:37.010+01:00')"): 11,
            "self.val1 == timestamp('2011-08-18T00:00:00.000+01:00') + duration('19h3m37s10ms')": 4,
            "self.val1.getDate('01:00') == 18": 4,
        },
    ),
    "conversions": (
        numbered(
            (INTEGER, 10),
            (NUMBER, 10.0),
            (NUMBER, 10.49),
            (NUMBER, 10.5),
            (BOOLEAN, True),
            (STRING, "10"),
            (formatted("byte"), "MTA="),
            (STRING, "3723.004s"),
            (formatted("duration"), "1h2m3s4ms"),
            (STRING, "2011-08-18T19:03:37.01+01:00"),
            (formatted("date-time"), "2011-08-18T19:03:37.01+01:00"),
            (STRING, "2011-08-18T00:00:00Z"),
            (formatted("date"), "2011-08-18"),
        ),
        {
            "int(self.val2) == self.val1": 6,
            "double(self.val1) == self.val2": 6,
            "bytes(self.val6) == self.val7": 6,
            "string(self.val1) == self.val6": 6,
            "string(self.val4) == '10.5'": 4,
            "string(self.val7) == self.val6": 6,
            "duration(self.val8) == self.val9": 6,
            "timestamp(self.val10) == self.val11": 6,
            "string(self.val11) == self.val10": 8,
            "timestamp(self.val12) == self.val13": 6,
            "string(self.val13) == self.val12": 7,
        },
    ),
    "enums": (
        (fields(enumStr={**STRING, "enum": ["Pending", "Available"]}), {"enumStr": "Pending"}),
        {"self.enumStr == 'Pending'": 3, "self.enumStr in ['Pending', 'Available']": 2},
    ),
    "lists": (
        numbered(*[(array(INTEGER), [1, 2, 3])] * 2),
        {
            literal("[1, 2, 3]"): 11,
            "1 in self.val1": 5,
            "self.val2[0] in self.val1": 8,
            "!(0 in self.val1)": 6,
            "self.val1 + self.val2 == [1, 2, 3, 1, 2, 3]": 6,
            "self.val1 + [4, 5] == [1, 2, 3, 4, 5]": 4,
        },
    ),
    "sets": (
        numbered((set_of(STRING), ["a", "b", "c"]), (set_of(STRING), ["a", "c", "b"])),
        {
            "self.val1 == ['c', 'b', 'a']": 3,
            "self.val1 == self.val2": 5,
            "'a' in self.val1": 5,
            "self.val2[0] in self.val1": 8,
            "!('x' in self.val1)": 6,
            "self.val1 + self.val2 == ['a', 'b', 'c']": 6,
            "self.val1 + ['c', 'd'] == ['a', 'b', 'c', 'd']": 4,
        },
    ),
    "map lists": (
        (
            fields(objs=array(map_list(["k"], k=STRING, v=STRING))),
            {
                "objs": [
                    [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}],
                    [{"k": "b", "v": "2"}, {"k": "a", "v": "1"}],
                    [{"k": "b", "v": "3"}, {"k": "a", "v": "1"}],
                    [{"k": "c", "v": "4"}],
                ]
            },
        ),
        {
            "self.objs[0] == self.objs[1]": 7,
            "self.objs[0] + self.objs[2] == self.objs[2]": 11,
            "self.objs[2] + self.objs[0] == self.objs[0]": 11,
            "self.objs[0] == [self.objs[0][0], self.objs[0][1]]": 22,
            "self.objs[0] == [self.objs[0][1], self.objs[0][0]]": 22,
            "self.objs[2] + [self.objs[0][0], self.objs[0][1]] == self.objs[0]": 26,
            "size(self.objs[0] + [self.objs[3][0]]) == 3": 20,
        },
    ),
    "maps": (
        numbered((mapping(STRING), {"k1": "a", "k2": "b"}), (mapping(STRING), {"k2": "b", "k1": "a"})),
        {
            "self.val1 == self.val2": 5,
            "'k1' in self.val1": 3,
            "!('k3' in self.val1)": 4,
            "self.val1 == {'k1': 'a', 'k2': 'b'}": 3,
        },
    ),
    "objects": (
        (fields(objs=array(KV)), {"objs": [{"k": "a", "v": "b"}, {"k": "a", "v": "b"}]}),
        {"self.objs[0] == self.objs[1]": 7},
    ),
    "fields of objects": (
        (
            fields(
                a=fields(b=INTEGER, c=INTEGER, d=nullable(INTEGER)),
                a1=fields(b1=fields(c1=INTEGER), d2=fields(e2=INTEGER)),
            ),
            {"a": {"b": 1, "d": None}, "a1": {"b1": {"c1": 4}}},
        ),
        {
            "has(self.a.b)": 2,
            "has(self.a1.b1.c1)": 3,
            "!(has(self.a1.d2) && has(self.a1.d2.e2))": 3,
            "!has(self.a1.d2)": 3,
        },
    ),
    "members of maps": (
        (fields(val=mapping(INTEGER)), {"val": {"b": 1, "d": 2}}),
        {
            "!('a' in self.val)": 4,
            "!has(self.val.a)": 3,
            "has(self.val.b)": 2,
            "self.val.all(k, self.val[k] > 0)": 17,
            "self.val.exists_one(k, self.val[k] == 2)": 14,
            "!self.val.exists_one(k, self.val[k] > 0)": 17,
            "size(self.val) == 2": 4,
            "size(self.val.filter(k, self.val[k] > 1)) == 1": 26,
        },
    ),
    "members of map lists": (
        (
            fields(listMap=map_list(["k"], k=STRING, v=STRING, v2=STRING)),
            {
                "listMap": [
                    {"k": "a1", "v": "b1"},
                    {"k": "a2", "v": "b2"},
                    {"k": "a3", "v": "b3", "v2": "z"},
                ]
            },
        ),
        {
            "has(self.listMap[0].v)": 3,
            "self.listMap.all(m, m.k.startsWith('a'))": 21,
            "self.listMap.all(m, !has(m.v2) || m.v2 == 'z')": 21,
            "self.listMap.exists(m, m.k.endsWith('1'))": 13,
            "self.listMap.exists_one(m, m.k == 'a3')": 15,
            "!self.listMap.all(m, m.k.endsWith('1'))": 18,
            "!self.listMap.exists(m, m.v == 'x')": 25,
            "!self.listMap.exists_one(m, m.k.startsWith('a'))": 20,
            "size(self.listMap.filter(m, m.k == 'a1')) == 1": 27,
            "self.listMap.exists(m, m.k == 'a1' && m.v == 'b1')": 16,
            "self.listMap.map(m, m.v).exists(v, v == 'b1')": 55,
            "self.listMap.exists(m, has(m.v2) && m.v2 == 'z')": 21,
            "!self.listMap.all(m, has(m.v2) && m.v2 != 'z')": 10,
            "self.listMap.exists_one(m, has(m.v2) && m.v2 == 'z')": 12,
            "self.listMap.filter(m, has(m.v2) && m.v2 == 'z').size() == 1": 24,
            "self.listMap.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1": 25,
            "self.listMap.filter(m, has(m.v2) && m.v2 == 'z').map(m, m.v2).size() == 1": 39,
            "self.listMap.exists(m, m.v2 == 'z')": 24,
            "!self.listMap.all(m, m.v2 != 'z')": 22,
        },
    ),
    "members of lists": (
        (fields(array=array(INTEGER)), {"array": [1, 1, 2, 2, 3, 3, 4, 5]}),
        {
            "2 in self.array": 10,
            "self.array.all(e, e > 0)": 43,
            "self.array.exists(e, e > 2)": 36,
            "self.array.exists_one(e, e > 4)": 22,
            "!self.array.all(e, e < 2)": 21,
            "!self.array.exists(e, e < 0)": 52,
            "!self.array.exists_one(e, e == 2)": 25,
            "size(self.array.filter(e, e%2 == 0)) == 3": 68,
            "self.array.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)": 194,
            "size(self.array) == 8": 4,
        },
    ),
    "embedded objects": (
        (fields(embedded=EMBEDDED), {"embedded": POD}),
        {
            "self.embedded.kind == 'Pod'": 4,
            "self.embedded.apiVersion == 'v1'": 4,
            "self.embedded.metadata.name == 'foo'": 5,
            "self.embedded.metadata.generateName == 'pickItForMe'": 6,
            "has(self.embedded)": 1,
        },
    ),
    "a string in an int-or-string": (
        (fields(something=INT_OR_STRING), {"something": "25%"}),
        {
            "type(self.something) == int ? self.something == 1 : self.something == '25%'": 7,
            "type(self.something) == string && self.something == '25%'": 7,
            "self.something == '25%'": 3,
            "self.something != 1": 3,
            "self.something == 1 || self.something == '25%'": 6,
            "self.something == '25%' || self.something == 1": 3,
            "self.something != ['anything']": 3,
        },
    ),
    "no int-or-string": (
        (fields(something=nullable(INT_OR_STRING)), {"something": None}),
        {"!has(self.something)": 2},
    ),
    "percentages": (
        (
            fields(min=INT_OR_STRING, current=INTEGER, available=INTEGER),
            {"min": "50%", "current": 5, "available": 10},
        ),
        {r"type(self.min) == string && self.min.matches(r'(\d+(\.\d+)?%)')": 10, PERCENT: 17},
    ),
    "unknown fields": (
        (
            fields(withUnknown=UNKNOWN, withUnknownList=array({**UNKNOWN, "properties": {"known": INTEGER}})),
            {
                "withUnknown": {"field1": "a"},
                "withUnknownList": [
                    {"known": 1, "unknown": "a"},
                    {"known": 1, "unknown": "b"},
                    {"known": 1, "unknown": "b"},
                    {"known": 1},
                    {"known": 2},
                ],
            },
        ),
        {
            "has(self.withUnknown)": 1,
            "self.withUnknownList.size() == 5": 4,
            "self.withUnknownList[0] != self.withUnknownList[1]": 7,
            "self.withUnknownList[1] == self.withUnknownList[2]": 7,
            "self.withUnknownList[0] != self.withUnknownList[3]": 7,
            "self.withUnknownList[3] != self.withUnknownList[4]": 7,
        },
    ),
    "absent fields": (
        (
            fields(unset=STRING, set=nullable(STRING), setToNull=nullable(STRING)),
            {"set": "v3", "setToNull": None},
        ),
        {
            "!has(self.unset)": 2,
            "has(self.set) && self.set == 'v3'": 4,
            "type(self.set) != null_type": 4,
            "!has(self.setToNull)": 2,
        },
    ),
    "nulls in maps": (
        (fields(m=mapping(nullable(STRING))), {"m": {"a": None, "b": "not-nil"}}),
        {"self.m.size() == 2": 4, "'a' in self.m": 3, "type(self.m['a']) == null_type": 5},
    ),
    "types of objects": (
        (fields(nested=mapping(fields(f=INTEGER))), {"nested": {"k1": {"f": 1}, "k2": {"f": 2}}}),
        {
            "type(self) == type(self)": 5,
            "type(self.nested['k1']) == type(self.nested['k2'])": 9,
        },
    ),
    "keys that expressions cannot name": (
        (
            fields(objs=array(map_list(["k!", "k."], **{"k!": STRING, "k.": STRING}))),
            {
                "objs": [
                    [{"k!": "a", "k.": "1"}, {"k!": "b", "k.": "2"}],
                    [{"k!": "b", "k.": "2"}, {"k!": "a", "k.": "1"}],
                ]
            },
        ),
        {"self.objs[0] == self.objs[1]": 7, "self.objs[0][0].k__dot__ == '1'": 6},
    ),
    "containers in containers": (
        (
            fields(
                mapOfMap=mapping(mapping(STRING)),
                mapOfObj=mapping(fields(field2=STRING)),
                mapOfListMap=mapping(map_list(["k"], k=STRING, v=STRING)),
                listOfMap=array(mapping(STRING)),
                listMapOfObj=map_list(["k2"], k2=STRING, v2=STRING),
            ),
            {
                "mapOfMap": {"x": {"y": "b"}},
                "mapOfObj": {"k": {"field2": "c"}},
                "mapOfListMap": {"o": [{"k": "1", "v": "d"}]},
                "listOfMap": [{"z": "g"}],
                "listMapOfObj": [{"k2": "2", "v2": "f"}],
            },
        ),
        {
            "self.mapOfMap['x']['y'] == 'b'": 5,
            "self.mapOfObj['k'].field2 == 'c'": 5,
            "self.mapOfListMap['o'].exists(e, e.k == '1' && e.v == 'd')": 14,
            "self.listMapOfObj.exists(e, e.k2 == '2' && e.v2 == 'f')": 13,
            "self.listOfMap[0]['z'] == 'g'": 5,
        },
    ),
    "identity of the root": (
        (fields(spec=fields(field1=STRING)), POD),
        {
            "self.kind == 'Pod'": 3,
            "self.metadata.name == 'foo'": 4,
            "self.metadata.generateName == 'pickItForMe'": 5,
            "self.spec.field1 == 'a'": 4,
        },
    ),
}
ROWS = [(case, rule) for case, (_, rules) in CASES.items() for rule in rules]


@pytest.mark.parametrize(("case", "rule"), ROWS, ids=[f"{case}: {rule[:70]}" for case, rule in ROWS])
def test_a_rule_holds_at_upstreams_cost(case: str, rule: str) -> None:
    (schema, tree), rules = CASES[case]
    declared = of_structural(parse(schema), root=True)
    assert declared is not None

    value, cost = Environment({"self": declared}).compile(rule).measure({"self": tree})

    assert value is True
    assert cost == rules[rule]


#: A case, a rule, and what upstream says is wrong with it, when it is compiled or when it runs.
MISTAKES = [
    ("integers", "self.val1 + 1 == 0", "integer overflow"),
    ("integers", "1 / 0 == 1 / 0", "division by zero"),
    ("map lists", "self.objs[0] == {'k': 'a', 'v': '1'}", "no matching overload for '_==_'"),
    ("objects", "self.objs[0] == {'f1': 'a', 'f2': 'b'}", "found no matching overload for '_==_'"),
    ("fields of objects", "has(self.a.z)", "undefined field 'z'"),
    ("fields of objects", "self.a['b'] == 1", "no matching overload for '_[_]'"),
    ("fields of objects", "has(self.a1.d2.e2)", "no such key: d2"),
    ("members of maps", "self.val['c'] == 1", "no such key: c"),
    ("members of map lists", "self.listMap.all(m, m.v2 == 'z')", "no such key: v2"),
    ("members of map lists", "self.listMap.exists_one(m, m.v2 == 'z')", "no such key: v2"),
    ("members of map lists", "self.listMap.filter(m, m.v2 == 'z').size() == 1", "no such key: v2"),
    ("members of map lists", "self.listMap.map(m, m.v2).size() == 1", "no such key: v2"),
    ("identity of the root", "self.metadata.namespace == 'xyz'", "undefined field 'namespace'"),
    ("embedded objects", "self.embedded.spec.field1 == 'a'", "undefined field 'spec'"),
    ("a string in an int-or-string", "self.something + 1 == 2", "no such overload"),
    ("unknown fields", "self.withUnknown.field1 == 'a'", "undefined field 'field1'"),
    ("absent fields", "self.unset == 'a'", "no such key: unset"),
]


@pytest.mark.parametrize(("case", "rule", "message"), MISTAKES, ids=[each[1] for each in MISTAKES])
def test_a_rule_fails_in_upstreams_words(case: str, rule: str, message: str) -> None:
    (schema, tree), _ = CASES[case]
    declared = of_structural(parse(schema), root=True)
    assert declared is not None

    with pytest.raises((CelError, EvaluationError)) as caught:
        Environment({"self": declared}).compile(rule).evaluate({"self": tree})

    assert message in str(caught.value)
