"""Variables and quotes as Docker has them, with a real shell as the oracle where both agree."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.words import expand, split, split_raw

VARIABLES = {"NAME": "value", "EMPTY": "", "TWO": "a b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$NAME", "value"),
        ("${NAME}x", "valuex"),
        ("$NAMEx", ""),
        ("$UNSET", ""),
        ("a$", "a$"),
        ("\\$NAME", "$NAME"),
        ("'$NAME'", "$NAME"),
        ('"$NAME and \\$x \\"q\\""', 'value and $x "q"'),
        ('"a\\b"', "a\\b"),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${UNSET-default}", "default"),
        ("${NAME:+other}", "other"),
        ("${EMPTY:+other}", ""),
        ("${EMPTY+other}", "other"),
        ("${UNSET:-${NAME}}", "value"),
        ("${UNSET:-a b}", "a b"),
        ("${NAME:?needed}", "value"),
        ("$TWO", "a b"),
    ],
)
def test_variables_are_replaced(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${UNSET:?needed here}", "UNSET: needed here"),
        ("${UNSET?}", "not allowed to be unset"),
        ("${NAME", "unsupported modifier"),
        ("${NAME#prefix}", "unsupported modifier"),
        ("${NAME/a/b}", "unsupported modifier"),
        ("${}", "bad substitution"),
        ("'open", "matching single-quote"),
        ('"open', "matching double-quote"),
        ("${NAME:-open", "matching }"),
    ],
)
def test_what_cannot_be_replaced_is_refused(text: str, why: str) -> None:
    with pytest.raises(BuildFailure, match=why):
        expand(text, VARIABLES)


def test_words_end_at_blanks_outside_of_quotes() -> None:
    assert split("a  'b c' \"d e\" f\\ g $TWO", VARIABLES) == ["a", "b c", "d e", "f g", "a b"]
    assert split_raw("A='x y' B=\"z\" C=1") == ["A='x y'", 'B="z"', "C=1"]
    assert split_raw("  ") == []
    with pytest.raises(BuildFailure, match="matching '"):
        split_raw("a 'b")


def test_another_escape_character() -> None:
    assert expand("`$NAME C:\\dir", VARIABLES, "`") == "$NAME C:\\dir"


_pieces = st.sampled_from(("'$NAME q'", '"$NAME q"', '"x\\$y"', "\\$", "\\'")) | st.sampled_from(
    ("a", "b c", "-", "$NAME", "${NAME}", "${EMPTY}", "${UNSET}", "${UNSET:-d}", "${EMPTY-d}", "${NAME:+p}")
)


@pytest.mark.skipif(not shutil.which("sh"), reason="no shell to compare with")
@settings(max_examples=60, deadline=None)
@given(st.lists(_pieces, min_size=1, max_size=5).map("".join))
def test_a_shell_reads_a_word_alike(text: str) -> None:
    """An assignment expands without splitting, which is what a Dockerfile's words do."""
    quoted = text.replace("b c", "b\\ c")
    done = subprocess.run(
        ["sh", "-c", f'RESULT={quoted}; printf "%s" "$RESULT"'],
        env=VARIABLES,
        capture_output=True,
        text=True,
        check=True,
    )
    assert expand(quoted, VARIABLES) == done.stdout
