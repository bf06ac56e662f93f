"""Which stages a build needs, and what FROM, ARG and ``--from`` mean."""

from __future__ import annotations

import pytest

from podkeeper.runtime.build.dockerfile import parse
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.stages import Plan, plan


def planned(text: str, target: str = "", **given: str) -> Plan:
    return plan(parse(text), target, given, {"TARGETARCH": "amd64"})


THREE = """
FROM scratch AS one
RUN a
FROM busybox AS two
COPY --from=one /a /a
FROM one
COPY --from=1 /b /b
"""


def test_all_stages_that_the_last_needs_are_built_in_order() -> None:
    stages = planned(THREE).stages
    assert [(stage.number, stage.name, stage.base) for stage in stages] == [
        (0, "one", "scratch"),
        (1, "two", "busybox"),
        (2, "", 0),
    ]
    assert [sorted(stage.uses) for stage in stages] == [[], [0], [1]]


def test_what_the_target_does_not_need_is_left_out() -> None:
    assert [stage.number for stage in planned(THREE, "one").stages] == [0]
    assert [stage.number for stage in planned(THREE, "TWO").stages] == [0, 1]
    assert [stage.number for stage in planned(THREE, "0").stages] == [0]
    text = "FROM scratch AS unused\nRUN x\nFROM busybox\nRUN y"
    assert [stage.base for stage in planned(text).stages] == ["busybox"]


def test_arguments_before_from_fill_in_its_name() -> None:
    text = "ARG BASE=busybox\nARG TAG=${BASE}-1\nFROM reg/$BASE:$TAG\n"
    assert planned(text).stages[0].base == "reg/busybox:busybox-1"
    assert planned(text, BASE="nginx").stages[0].base == "reg/nginx:nginx-1"
    assert planned("FROM x:$TARGETARCH").stages[0].base == "x:amd64"


def test_a_stage_copies_from_stages_before_it_alone() -> None:
    stages = planned("FROM a\nCOPY --from=later /x /x\nFROM b AS later").stages
    assert [stage.base for stage in stages] == ["b"]
    assert planned("FROM a\nCOPY --from=later /x /x\nFROM b AS later", "0").stages[0].uses == frozenset()


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("# nothing", 0, "has no FROM"),
        ("RUN a\nFROM b", 1, "only ARG may come before FROM"),
        ("FROM a b", 1, "either one or three arguments"),
        ("FROM a like b", 1, "either one or three arguments"),
        ("FROM --weird=1 a", 1, "unknown flag: --weird"),
        ("FROM a\nFROM $UNSET", 2, "should not be blank|either one or three"),
        ("FROM a\n\nFROM ${X", 3, "unsupported modifier"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BuildFailure, match=why) as failed:
        planned(text)
    assert failed.value.line == line


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(BuildFailure, match="target stage 'x' could not be found"):
        planned("FROM a", "x")
