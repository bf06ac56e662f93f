""".dockerignore: the last pattern that fits decides, for a file or for a directory above it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.ignore import IgnoreRules, glob_pattern


@pytest.mark.parametrize(
    ("lines", "path", "excluded"),
    [
        (["*.log"], "a.log", True),
        (["*.log"], "dir/a.log", False),
        (["**/*.log"], "dir/sub/a.log", True),
        (["**/*.log"], "a.log", True),
        (["dir"], "dir/sub/file", True),
        (["dir/"], "dir/file", True),
        (["/dir"], "dir/file", True),
        (["dir/*"], "dir/file", True),
        (["dir/*"], "dir", False),
        (["dir/**"], "dir/a/b", True),
        (["*"], "anything", True),
        (["*", "!keep"], "keep", False),
        (["*", "!keep"], "keep/below", False),
        (["!keep", "*"], "keep", True),
        (["a?c"], "abc", True),
        (["a?c"], "a/c", False),
        (["[a-c]x"], "bx", True),
        (["[^a-c]x"], "bx", False),
        (["[c-a]x"], "bx", False),
        (["[\\]^&&]x"], "]x", True),
        (["# comment", "", "  spaced  "], "spaced", True),
        (["# comment"], "# comment", False),
        (["a\\*b"], "a*b", True),
        (["a\\*b"], "axb", False),
        (["./a/../b"], "b", True),
        ([], "a", False),
    ],
)
def test_patterns(lines: list[str], path: str, excluded: bool) -> None:
    assert IgnoreRules(lines).excludes(path) is excluded


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "[a-", "[a-]", "[-a]", "[^", "a[\\"])
def test_bad_patterns_are_refused_as_go_does(pattern: str) -> None:
    with pytest.raises(BuildFailure, match="syntax error in pattern"):
        glob_pattern(pattern)


def test_exceptions_are_known_so_that_excluded_directories_can_be_passed_by() -> None:
    assert not IgnoreRules(["a", "b"]).has_exceptions
    assert IgnoreRules(["a", "!a/b"]).has_exceptions


_segment = st.text(st.sampled_from("ab*?[]^-\\"), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(_segment, min_size=1, max_size=3).map("/".join), st.text(st.sampled_from("ab/"), max_size=8))
def test_no_pattern_is_too_odd(pattern: str, path: str) -> None:
    try:
        fits = glob_pattern(pattern).fullmatch(path) is not None
    except BuildFailure:
        return
    if not set(pattern) & set("*?[]\\"):
        assert fits == (pattern == path)
