"""Properties: printing and parsing, arithmetic and strings beside Python's own, and any text at all."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.cel import CelError, Environment, EvaluationError, types
from podkeeper.api.cel.ast import Call, Entry, FieldInit, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from podkeeper.api.cel.costs import BudgetExceeded
from podkeeper.api.cel.parser import BINARY, parse
from podkeeper.api.cel.printer import text_of
from podkeeper.api.cel.ranges import Range
from podkeeper.api.cel.values import UInt

NAMES = st.sampled_from(["a", "b", "self", "f", "_x9"])
INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    INTS,
    st.integers(0, 2**64 - 1).map(UInt),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.binary(max_size=8),
).map(Literal)


def nodes(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    """Nodes over nodes."""
    several = st.lists(inner, max_size=3).map(tuple)
    operators = st.sampled_from([function for _, function in BINARY.values()])
    optional = st.tuples(st.just("_[?_]") | st.just("_[_]"), inner, inner)
    return st.one_of(
        st.builds(Select, inner, NAMES),
        st.tuples(operators, inner, inner).map(lambda each: Call(each[0], each[1:])),
        st.tuples(st.sampled_from(["-_", "!_"]), inner).map(lambda each: Call(each[0], each[1:])),
        st.tuples(inner, inner, inner).map(lambda each: Call("_?_:_", each)),
        optional.map(lambda each: Call(each[0], each[1:])),
        st.tuples(inner, NAMES).map(lambda each: Call("_?._", (each[0], Literal(each[1])))),
        st.builds(Call, NAMES, several),
        st.builds(Call, NAMES, several, inner),
        st.builds(ListOf, several),
        st.lists(st.builds(Entry, inner, inner, st.booleans()), max_size=2).map(lambda each: MapOf(tuple(each))),
        st.lists(st.builds(FieldInit, NAMES, inner, st.booleans()), max_size=2).map(
            lambda each: Struct("p.Name", tuple(each))
        ),
    )


TREES = st.recursive(LITERALS | NAMES.map(Ident), nodes, max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_what_is_printed_parses_to_the_same_tree(tree: Node) -> None:
    assert parse(text_of(tree), expand=False) == tree


ENVIRONMENT = Environment({"a": types.INT, "b": types.INT, "s": types.STRING, "t": types.STRING, "n": types.INT})


def outcome(text: str, **values: Any) -> Any:
    """A value, or None for an error."""
    try:
        return ENVIRONMENT.compile(text, None).evaluate(values)
    except EvaluationError:
        return None


def wrapped(amount: int) -> int | None:
    return amount if -(2**63) <= amount < 2**63 else None


EDGES = INTS | st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**32])


@settings(max_examples=150, deadline=None)
@given(EDGES, EDGES)
def test_arithmetic_is_pythons_within_64_bits(a: int, b: int) -> None:
    assert outcome("a + b", a=a, b=b) == wrapped(a + b)
    assert outcome("a - b", a=a, b=b) == wrapped(a - b)
    assert outcome("a * b", a=a, b=b) == wrapped(a * b)
    assert outcome("-a", a=a) == wrapped(-a)
    assert outcome("a < b", a=a, b=b) is (a < b)
    if b:
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        assert outcome("a / b", a=a, b=b) == wrapped(quotient)
        if (a, b) != (-(2**63), -1):
            assert outcome("(a / b) * b + a % b == a", a=a, b=b) is True


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, st.integers(-1, 13))
def test_functions_of_strings_are_pythons_on_code_points(s: str, t: str, n: int) -> None:
    inside = 0 <= n <= len(s)
    assert outcome("size(s)", s=s) == len(s)
    assert outcome("s.contains(t)", s=s, t=t) is (t in s)
    assert outcome("s.startsWith(t)", s=s, t=t) is s.startswith(t)
    assert outcome("s + t", s=s, t=t) == s + t
    assert outcome("s.substring(n)", s=s, n=n) == (s[n:] if inside else None)
    assert outcome("s.charAt(n)", s=s, n=n) == (s[n : n + 1] if inside else None)
    assert outcome("s.replace(t, 'x')", s=s, t=t) == s.replace(t, "x")
    assert outcome("s.indexOf(t)", s=s, t=t) == s.find(t)
    assert outcome("s.lastIndexOf(t)", s=s, t=t) == s.rfind(t)
    if t:
        assert outcome("s.split(t)", s=s, t=t) == s.split(t)
        assert outcome("s.split(t).join(t)", s=s, t=t) == s


PIECES = """a d s l self . .? [ [? ] ( ) { } ? : , + - * / % ! == != < <= && || in true null 0 1 1u 0x1 .5 1e9 'x' b'x'
    r'\\ " ''' \\ // has( .all(x, .map(x, .exists(i,v, .filter(x, cel.bind(x, .optMap(x, optional.of( sets.contains(
    size( type( int( string( duration('1s') timestamp( .format([ .matches( .charAt( .split( quantity( ip( semver(
    .sortBy(x, .transformMap(k,v, google.protobuf.Duration Object{ int{ é 👑 @ $ while `"""
FRAGMENTS = st.sampled_from([*PIECES.split(), " ", "\n"])
ANY_TEXT = st.text(max_size=40) | st.lists(FRAGMENTS, max_size=25).map("".join)
FUZZED = Environment({"a": types.INT, "d": types.DYN, "s": types.STRING, "l": types.parse_type("list(int)")})
TREE = {"a": 1, "d": {"x": [1, None, "y"]}, "s": "text", "l": [1, 2]}


@settings(max_examples=600, deadline=None)
@given(ANY_TEXT)
def test_any_text_is_a_program_or_an_error_with_issues(text: str) -> None:
    started = time.perf_counter()
    try:
        program = FUZZED.compile(text, None)
    except CelError as error:
        told = str(error)
    else:
        program.estimate()
        told = ""
        with suppress(EvaluationError, BudgetExceeded):
            program.evaluate(TREE)
    assert told == "" or told.startswith("ERROR: <input>:")
    assert time.perf_counter() - started < 5


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_any_tree_is_checked_run_and_priced_without_surprise(tree: Node) -> None:
    test_any_text_is_a_program_or_an_error_with_issues.hypothesis.inner_test(text_of(tree))  # type: ignore[attr-defined]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(0, 9))
def test_a_run_costs_no_more_than_its_estimate(members: list[int], n: int) -> None:
    environment = Environment({"l": types.parse_type("list(int)"), "n": types.INT}, optimize=False)
    for text in (
        "l.all(x, x < n)",
        "l.exists_one(x, x == n)",
        "l.map(x, x * n).filter(x, x > 1)",
        "n in l || l.sum() > n",
    ):
        program = environment.compile(text, None)
        bound = program.estimate(lambda given: Range(0, len(members)) if given.form == "list" else None)
        assert program.measure({"l": members, "n": n})[1] <= bound.high


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*)*x", "(a{1,30}){1,30}$"])
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.perf_counter()
    with suppress(EvaluationError, CelError):
        ENVIRONMENT.compile(f"s.matches('{pattern}')").evaluate({"s": "a" * 5000 + "!"})
    assert time.perf_counter() - started < 2
