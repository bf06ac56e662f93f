"""Quantities: spelling in, canonical spelling out, and the algebra between."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.quantity import Family, Quantity, QuantityError, zero

amounts = st.integers(-(10**22), 10**22)
families = st.sampled_from(Family)
quantities = st.builds(lambda nano, family: Quantity(f"{nano}n") + zero(family), amounts, families)
spellings = st.one_of(
    st.builds(
        "{}{}".format, st.integers(-(10**9), 10**9), st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Gi"])
    ),
    st.builds(
        "{}.{}{}".format, st.integers(0, 999), st.integers(0, 99999), st.sampled_from(["", "m", "Mi", "e3", "E-2"])
    ),
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1024Mi", "1Gi"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("500m", "500m"),
        ("1500m", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("0", "0"),
        ("000", "0"),
        ("0Ki", "0"),
        ("1e3", "1e3"),
        ("12E6", "12E6"),
        ("1000e0", "1e3"),
        ("100k", "100k"),
        ("1000k", "1M"),
        ("0.1Ki", "102400m"),
        ("1023", "1023"),
        ("512Ki", "512Ki"),
        ("1025Ki", "1025Ki"),
        ("-1.5", "-1500m"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("16Ei", "9223372036854775807"),
        (".5", "500m"),
        ("1.", "1."),
        ("1.250", "1.250"),
        ("1.25", "1250m"),
        ("0.5Ki", "512"),
        ("1234567890123456789012", "1234567890123456789012"),
    ],
)
def test_prints_as_upstream(text: str, printed: str) -> None:
    assert str(Quantity(text)) == printed


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "1x", " 1", "1 ", "1Gi5x", "1KI", "1\n", "١"])
def test_refuses_what_does_not_match_the_grammar(text: str) -> None:
    with pytest.raises(QuantityError, match="quantities must match the regular expression"):
        Quantity(text)


@pytest.mark.parametrize("text", ["1K", "1i", "1e", "1mm", "1-5", "--1"])
def test_refuses_unknown_suffixes(text: str) -> None:
    with pytest.raises(QuantityError, match="unable to parse quantity's suffix"):
        Quantity(text)


@pytest.mark.parametrize("text", ["1e401", "1e999999999999", "1e-99999999"])
def test_refuses_exponents_that_would_exhaust_memory(text: str) -> None:
    with pytest.raises(QuantityError, match="exponent"):
        Quantity(text)


def test_numbers_and_booleans() -> None:
    assert Quantity(2) == Quantity("2")
    assert str(Quantity(0.5)) == "500m"
    assert Quantity(1e21) == Quantity("1e21")
    with pytest.raises(QuantityError):
        Quantity(True)


def test_value_rounds_away_from_zero() -> None:
    assert Quantity("1500m").value() == 2
    assert Quantity("-1500m").value() == -2
    assert Quantity("1500u").milli_value() == 2
    assert Quantity("1Gi").value() == 2**30


def test_a_sum_from_zero_takes_the_family_of_what_is_added() -> None:
    assert str(zero() + Quantity("512Mi") + Quantity("512Mi")) == "1Gi"
    assert str(Quantity("1") + Quantity("1Ki")) == "1025"


def test_is_immutable_in_use() -> None:
    one = Quantity("1Gi")
    assert str(one + one) == "2Gi"
    assert str(one) == "1Gi"
    assert hash(one) == hash(Quantity("1024Mi"))


@given(spellings)
@settings(max_examples=150)
def test_printing_keeps_the_amount_and_settles(text: str) -> None:
    once = Quantity(text)
    again = Quantity(str(once))
    assert again == once
    assert str(again) == str(once)


@given(quantities, quantities, quantities)
@settings(max_examples=100)
def test_addition_is_a_group_and_keeps_order(a: Quantity, b: Quantity, c: Quantity) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + zero() == a
    assert a - a == zero()
    assert (a + c < b + c) == (a < b)


@given(st.integers(0, 10**9), st.integers(0, 9))
def test_amounts_are_exact(digits: int, places: int) -> None:
    text = f"{digits}e-{places}"
    exact = Fraction(digits, 10**places)
    assert Fraction(Quantity(text).milli_value()) - exact * 1000 < 1
    assert Fraction(Quantity(text).milli_value()) >= exact * 1000
