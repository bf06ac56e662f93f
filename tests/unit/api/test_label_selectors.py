"""Label selectors: the grammar, upstream's error texts, and what matching means."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.selectors import labels
from podkeeper.api.selectors.labels import SelectorError

words = st.sampled_from(["a", "b", "in", "notin", "x.y", "Z-9"])
sets = st.dictionaries(words, words, max_size=4)
requirements = st.one_of(
    st.builds("{}{}{}".format, words, st.sampled_from(["=", "==", "!=", " = "]), words),
    st.builds("{} {} ({})".format, words, st.sampled_from(["in", "notin"]), st.lists(words, max_size=3).map(",".join)),
    words,
    words.map("!{}".format),
)
selectors = st.lists(requirements, max_size=4).map(",".join)


@pytest.mark.parametrize(
    ("text", "carried", "expected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b, c)", {}, False),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a=", {"a": ""}, True),
        ("a=,b", {"a": "", "b": "x"}, True),
        ("a in ()", {"a": ""}, True),
        ("a in (,b)", {"a": ""}, True),
        ("a>5", {"a": "6"}, True),
        ("a<5", {"a": "6"}, False),
        ("a>5", {"a": "x"}, False),
        ("in in (in)", {"in": "in"}, True),
        ("a = b , c", {"a": "b", "c": "1"}, True),
    ],
)
def test_matches(text: str, carried: dict[str, str], expected: bool) -> None:
    assert labels.parse(text).matches(carried) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
    ],
)
def test_refuses_with_upstreams_words(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        labels.parse(text)
    assert str(caught.value) == message


def test_refuses_bad_keys_and_values_by_their_place() -> None:
    with pytest.raises(SelectorError, match=r'unable to parse requirement: <nil>: Invalid value: "-a": name part must'):
        labels.parse("-a=b")
    with pytest.raises(SelectorError, match=r'values\[0\]\[a\]: Invalid value: "-b": a valid label must be'):
        labels.parse("a=-b")
    with pytest.raises(SelectorError, match="the value must be an integer"):
        labels.parse("a>b")


def test_from_an_objects_selector() -> None:
    tree = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
    }
    selector = labels.from_tree(tree)
    assert selector.matches({"app": "web", "tier": "b"})
    assert not selector.matches({"app": "web"})
    assert str(selector) == "app=web,tier in (a,b)"
    assert selector.equalities == {"app": "web"}


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not labels.from_tree(None).matches({})
    assert labels.from_tree({}).matches({})
    assert labels.from_tree({}).empty
    assert not labels.NOTHING.empty


def test_an_objects_selector_is_checked() -> None:
    with pytest.raises(SelectorError, match='"Has" is not a valid label selector operator'):
        labels.from_tree({"matchExpressions": [{"key": "a", "operator": "Has"}]})
    with pytest.raises(SelectorError, match="values set can't be empty"):
        labels.from_tree({"matchExpressions": [{"key": "a", "operator": "In"}]})


def test_numbers_beyond_64_bits_never_match() -> None:
    assert labels.as_integer(str(2**63)) is None
    assert labels.as_integer(str(2**63 - 1)) == 2**63 - 1


@given(selectors, sets)
@settings(max_examples=150)
def test_printing_and_parsing_again_means_the_same(text: str, carried: dict[str, str]) -> None:
    selector = labels.parse(text)
    again = labels.parse(str(selector))
    assert again.matches(carried) == selector.matches(carried)
    assert str(again) == str(selector)


@given(selectors, selectors, sets)
@settings(max_examples=100)
def test_a_comma_is_a_conjunction(left: str, right: str, carried: dict[str, str]) -> None:
    joined = ",".join(part for part in (left, right) if part)
    both = labels.parse(left).matches(carried) and labels.parse(right).matches(carried)
    assert labels.parse(joined).matches(carried) == both


@given(sets, sets)
def test_equalities_are_necessary(wanted: dict[str, str], carried: dict[str, str]) -> None:
    selector = labels.from_set(wanted)
    assert selector.equalities == wanted
    assert selector.matches(carried) == (wanted.items() <= carried.items())
