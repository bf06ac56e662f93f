"""Dockerfiles as instructions: comments, directives, continuation lines, flags, both forms, heredocs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.build.dockerfile import Heredoc, Instruction, parse
from podkeeper.runtime.build.failure import BuildFailure


def only(text: str) -> Instruction:
    (instruction,) = parse(text).instructions
    return instruction


def test_comments_and_empty_lines_are_left_out_and_lines_are_counted() -> None:
    found = parse("# one\n\n  # two\nfrom a\n\n  RUN x # not a comment\n").instructions
    assert [(i.line, i.keyword, i.rest) for i in found] == [(4, "FROM", "a"), (6, "RUN", "x # not a comment")]


def test_continuation_lines_are_joined_over_comments_and_empty_lines() -> None:
    instruction = only("RUN one \\\n  # a comment\n\n  two \\  \n  three\n")
    assert instruction.rest.split() == ["one", "two", "three"]
    assert only("RUN a\\\n").rest == "a"
    assert only("RUN a\\\nb").rest == "ab"


def test_the_escape_directive_changes_the_continuation_character() -> None:
    found = parse("# escape=`\nRUN a `\n  b\nRUN c \\\n")
    assert found.escape == "`"
    assert [i.rest.split() for i in found.instructions] == [["a", "b"], ["c", "\\"]]
    assert parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM a").escape == "`"
    assert parse("# a comment\n# escape=`\nFROM a").escape == "\\"
    assert parse("FROM a\n# escape=`").escape == "\\"


def test_flags_come_before_the_rest() -> None:
    instruction = only("COPY --from=base --chown=1:2 --link a --b=c d")
    assert instruction.flags == (("from", "base"), ("chown", "1:2"), ("link", ""))
    assert instruction.rest == "a --b=c d"
    assert str(instruction) == "COPY --from=base --chown=1:2 --link a --b=c d"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('CMD ["a", "b c"]', ("a", "b c")),
        ("CMD []", ()),
        ("CMD a b", None),
        ("CMD [ -f x ]", None),
        ('CMD ["a", 1]', None),
        ('CMD ["a"] b', None),
        ("CMD ['a']", None),
    ],
)
def test_a_json_array_of_strings_is_the_exec_form(text: str, form: tuple[str, ...] | None) -> None:
    assert only(text).exec_form == form


def test_heredocs_follow_their_instruction() -> None:
    found = parse("COPY <<A <<-'B' /dir/\nfirst\nA\n\tsecond $X\n\tB\nRUN x\n").instructions
    assert found[0].heredocs == (Heredoc("A", "first\n", expand=True), Heredoc("B", "second $X\n", expand=False))
    assert (found[1].line, found[1].rest) == (6, "x")
    assert only("RUN cat <<<word").heredocs == ()
    assert only("ENV A=<<EOF").heredocs == ()


@pytest.mark.parametrize(
    "text",
    [
        "RUN echo $((1<<n))",
        'RUN echo "see <<EOF"',
        "RUN echo 'a <<EOF b'",
        "RUN echo a<<EOF",
        "RUN echo \\<<EOF",
    ],
)
def test_what_only_looks_like_a_heredoc_is_none(text: str) -> None:
    assert only(text).heredocs == ()


def test_heredocs_may_have_a_file_descriptor_and_words_after_them() -> None:
    instruction = only("RUN 3<<EOF cat <&3 | sort > /x\nb\na\nEOF\n")
    assert instruction.heredocs == (Heredoc("EOF", "b\na\n", expand=True),)


def test_a_protected_escape_character_does_not_continue_a_line() -> None:
    found = parse("RUN echo a\\\\\nRUN b\n").instructions
    assert [instruction.rest for instruction in found] == ["echo a\\\\", "b"]
    assert only("RUN a \\\n\\\n b").rest.split() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("FROM a\nFROB b", 2, "unknown instruction: FROB"),
        ("FROM", 1, "FROM requires at least one argument"),
        ("# escape=x\nFROM a", 1, "invalid escape token 'x'"),
        ("# escape=`\n# escape=`\nFROM a", 2, "only one escape parser directive"),
        ("FROM a\n\nRUN <<EOF\nx", 3, "unterminated heredoc EOF"),
    ],
)
def test_errors_name_the_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BuildFailure, match=why) as failed:
        parse(text)
    assert failed.value.line == line
    assert str(failed.value).startswith(f"Dockerfile:{line}: ")


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("FROM RUN\\\n#=<-`'\"ab $"), max_size=80))
def test_every_text_is_read_or_refused(text: str) -> None:
    try:
        lines = [instruction.line for instruction in parse(text).instructions]
    except BuildFailure as error:
        lines = [error.line]
    assert lines == sorted(set(lines))
    assert all(0 <= line <= text.count("\n") + 1 for line in lines)
