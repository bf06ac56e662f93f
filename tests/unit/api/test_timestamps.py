"""Timestamps: RFC 3339 in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api import timestamps
from podkeeper.api.timestamps import TimestampError


def test_writes_times() -> None:
    assert timestamps.format_time(0.9) == "1970-01-01T00:00:00Z"
    assert timestamps.format_micro_time(1_767_323_045.000006) == "2026-01-02T03:04:05.000006Z"


def test_reads_offsets_and_fractions() -> None:
    assert timestamps.parse("1970-01-01T01:00:00+01:00") == 0
    assert timestamps.parse("1970-01-01T00:00:00.25Z") == 0.25


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00"]
)
def test_refuses_everything_else(text: str) -> None:
    with pytest.raises(TimestampError, match="parsing time"):
        timestamps.parse(text)


def test_zero_times() -> None:
    assert timestamps.is_zero("")
    assert timestamps.is_zero("0001-01-01T00:00:00Z")
    assert not timestamps.is_zero(timestamps.now())


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999))
def test_micro_times_come_back(seconds: int, micros: int) -> None:
    text = timestamps.format_micro_time(seconds + micros / 1_000_000)
    assert round(timestamps.parse(text) * 1_000_000) == pytest.approx(seconds * 1_000_000 + micros, abs=1)
    assert timestamps.format_micro_time(timestamps.parse(text)) == text
