"""Field selectors: grammar, escaping, matching."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.selectors import fields
from podkeeper.api.selectors.fields import SelectorError


def test_equal_and_unequal() -> None:
    selector = fields.parse("spec.nodeName=a,status.phase!=Running")
    assert selector.matches({"spec.nodeName": "a", "status.phase": "Pending"})
    assert not selector.matches({"spec.nodeName": "a", "status.phase": "Running"})
    assert selector.equalities == {"spec.nodeName": "a"}
    assert str(selector) == "spec.nodeName=a,status.phase!=Running"


def test_an_absent_field_is_empty() -> None:
    assert fields.parse("spec.nodeName=").matches({})
    assert not fields.parse("spec.nodeName!=").matches({})


def test_the_empty_text_selects_everything() -> None:
    assert fields.parse("").empty
    assert fields.parse(",").matches({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_refuses_with_upstreams_words(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        fields.parse(text)
    assert str(caught.value) == message


@given(st.text(alphabet="ab\\,=!", max_size=12))
def test_every_value_can_be_escaped(value: str) -> None:
    selector = fields.parse(f"a={fields.escape(value)}")
    assert selector.requirements[0].value == value
    assert fields.parse(str(selector)) == selector
