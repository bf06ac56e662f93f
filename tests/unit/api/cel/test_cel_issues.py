"""What is said about expressions that cannot be compiled: cel-go's words, places and carets."""

from __future__ import annotations

import pytest

from podkeeper.api.cel import CelError, Environment, EvaluationError, WrongType, of_builtin, of_structural, types
from podkeeper.api.structural.schema import parse as parse_schema

START = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
SCHEMA = parse_schema(
    {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "names": {"type": "array", "items": {"type": "string"}},
            "x-y": {"type": "string"},
            "namespace": {"type": "string"},
            "opaque": {"x-kubernetes-preserve-unknown-fields": True},
        },
    }
)
DECLARED = of_structural(SCHEMA)
assert DECLARED is not None
ENVIRONMENT = Environment({"self": DECLARED, "d": types.DYN})

#: Expression, line and column, message.
ISSUES = [
    ("1 + +", "1:5", f"Syntax error: mismatched input '+' expecting {START}"),
    ("", "1:1", f"Syntax error: mismatched input '<EOF>' expecting {START}"),
    ("1 + $", "1:5", "Syntax error: token recognition error at: '$'"),
    ("a | b", "1:3", "Syntax error: token recognition error at: '| '"),
    ("self.in", "1:6", "Syntax error: no viable alternative at input '.in'"),
    ("'abc", "1:1", "Syntax error: token recognition error at: ''abc'"),
    ("true\n  + 1 2", "2:7", "Syntax error: extraneous input '2' expecting <EOF>"),
    ("while", "1:1", "reserved identifier: while"),
    ("99999999999999999999", "1:1", "invalid int literal"),
    ("18446744073709551616u", "1:1", "invalid uint literal"),
    ("1e999", "1:1", "invalid double literal"),
    ("has(self)", "1:5", "invalid argument to has() macro"),
    ("[1].all(1, true)", "1:9", "argument must be a simple name"),
    ("missing", "1:1", "undeclared reference to 'missing' (in container '')"),
    ("missing(1)", "1:8", "undeclared reference to 'missing' (in container '')"),
    ("self.foo == 1", "1:5", "undefined field 'foo'"),
    ("has(self.foo)", "1:4", "undefined field 'foo'"),
    ("self.opaque == 1", "1:5", "undefined field 'opaque'"),
    ("self.replicas.x", "1:14", "type 'int' does not support field selection"),
    ("self.replicas == 'a'", "1:15", "found no matching overload for '_==_' applied to '(int, string)'"),
    ("self.replicas + 1.0 > 0", "1:15", "found no matching overload for '_+_' applied to '(int, double)'"),
    ("self.names == 'a'", "1:12", "found no matching overload for '_==_' applied to '(list(string), string)'"),
    ("self.replicas.charAt(1)", "1:21", "found no matching overload for 'charAt' applied to 'int.(int)'"),
    ("self.names.map(x, x + 1)", "1:21", "found no matching overload for '_+_' applied to '(string, int)'"),
    ("self.names && true", "1:12", "found no matching overload for '_&&_' applied to '(list(string), bool)'"),
    ("self.names.all(x, 1)", "1:15", "found no matching overload for '_&&_' applied to '(bool, int)'"),
    (
        "self.replicas.all(x, true)",
        "1:5",
        "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
    ),
    ("[1, 'a'] == d", "1:5", "expected type 'int' but found 'string'"),
    ("{'a': 1, 'b': 'c'} == d", "1:15", "expected type 'int' but found 'string'"),
    ("true ? 1 : 'a'", "1:6", "found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
    ("int{a: 1}", "1:4", "'int' is not a message type"),
    ("Foo{a: 1}", "1:4", "undeclared reference to 'Foo' (in container '')"),
    ("duration('1x') > duration('1s')", "1:10", "invalid duration argument"),
    ("timestamp('1') == timestamp('2')", "1:11", "invalid timestamp argument"),
    ("'a'.matches('[')", "1:13", "invalid matches argument"),
    ("'é'.foo()", "1:8", "undeclared reference to 'foo' (in container '')"),
]


@pytest.mark.parametrize(("text", "place", "message"), ISSUES, ids=[each[0] for each in ISSUES])
def test_issues(text: str, place: str, message: str) -> None:
    with pytest.raises(CelError) as caught:
        ENVIRONMENT.compile(text, None)

    assert f"ERROR: <input>:{place}: {message}\n" in str(caught.value)


def test_an_issue_shows_its_line_with_a_caret() -> None:
    with pytest.raises(CelError) as caught:
        ENVIRONMENT.compile("true &&\n\tself.foo == 'é' + self.bar")

    assert str(caught.value) == (
        "ERROR: <input>:2:6: undefined field 'foo'\n"
        " |  self.foo == 'é' + self.bar\n"
        " | .....^\n"
        "ERROR: <input>:2:24: undefined field 'bar'\n"
        " |  self.foo == 'é' + self.bar\n"
        " | ..............．........^"
    )


def test_an_expression_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(WrongType, match="must evaluate to bool") as caught:
        ENVIRONMENT.compile("self.replicas")

    assert caught.value.actual == types.INT
    with pytest.raises(WrongType, match=r"must evaluate to one of \[string int\]"):
        ENVIRONMENT.compile("true", (types.STRING, types.INT))


def test_an_expression_whose_type_only_values_tell_is_of_none_of_the_expected_types() -> None:
    with pytest.raises(WrongType, match="must evaluate to bool"):
        ENVIRONMENT.compile("d.x")
    assert ENVIRONMENT.compile("d.x", None).evaluate({"d": {"x": True}}) is True
    assert ENVIRONMENT.compile("d.x == true").evaluate({"d": {"x": True}}) is True


def test_names_that_are_no_names_are_escaped() -> None:
    program = ENVIRONMENT.compile("self.x__dash__y + self.__namespace__", types.STRING)

    assert program.evaluate({"self": {"x-y": "a", "namespace": "b"}}) == "ab"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "[" * 5000,
        "-(" * 5000 + "1",
        "1" + "+1" * 5000,
        "d" + ".a" * 5000,
        "d" + "[0]" * 5000,
        "a?b:" * 5000 + "c",
        "[1].all(x, " * 200 + "true" + ")" * 200,
        "d" + ".optMap(x, x)" * 300,
        "x" * 100_001,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(CelError, match="limit"):
        ENVIRONMENT.compile(text, None)


DEEPEST = {
    "brackets": "(" * 89 + "1" + ")" * 89,
    "lists": "[" * 89 + "1" + "]" * 89,
    "sums": "1" + " + 1" * 248,
    "members": "d" + ".a" * 248,
    "indices": "d" + "[0]" * 248,
    "macros": "d.all(x, " * 50 + "true" + ")" * 50,
    "binds": "cel.bind(x, 1, " * 80 + "x" + ")" * 80,
    "optionals": "optional.of(1)" + ".optMap(x, x)" * 35,
    "branches": "true ? 1 : " * 88 + "2",
    "signs": "-(" * 88 + "1" + ")" * 88,
}


@pytest.mark.parametrize("text", DEEPEST.values(), ids=DEEPEST.keys())
def test_what_is_deep_and_allowed_finds_enough_stack(text: str) -> None:
    def below(depth: int) -> None:
        if depth:
            return below(depth - 1)
        program = ENVIRONMENT.compile(text, None)
        assert program.estimate().high >= 0
        try:
            program.evaluate({"d": [[]]})
        except EvaluationError as error:
            assert str(error)  # noqa: PT017  # whether there is a value is not the question
        return None

    below(150)


def test_a_long_chain_of_logic_is_not_deep() -> None:
    assert ENVIRONMENT.compile(" && ".join(["true"] * 10_000)).evaluate({}) is True


def test_libraries_come_with_versions() -> None:
    old = Environment({}, version=(1, 29))

    assert old.compile("sets.contains([1], [1])").evaluate({}) is True
    with pytest.raises(CelError, match="undeclared reference to 'isIP'"):
        old.compile("isIP('::1')")


def test_fields_of_built_in_types_are_checked() -> None:
    environment = Environment({"object": of_builtin("apps/v1.Deployment")})
    rule = (
        "object.spec.template.spec.containers.all(c, !has(c.securityContext) || c.securityContext.privileged != true)"
    )
    tree = {"spec": {"template": {"spec": {"containers": [{"name": "a", "securityContext": {"privileged": True}}]}}}}

    assert environment.compile(rule).evaluate({"object": tree}) is False
    assert environment.compile("object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')").evaluate(
        {"object": {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}}
    )
    with pytest.raises(CelError, match="undefined field 'replica'"):
        environment.compile("object.spec.replica == 1")
