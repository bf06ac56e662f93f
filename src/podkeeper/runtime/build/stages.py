"""The stages of a Dockerfile: which there are, which of them a target needs, and what FROM and ``--from`` mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from podkeeper.runtime.build import words
from podkeeper.runtime.build.dockerfile import Dockerfile, Instruction
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.images.manifests import Platform

SCRATCH = "scratch"


class Stage(Struct, frozen=True):
    """``base`` is another stage's number, or an image reference, or ``scratch``; ``uses`` are stages it copies from."""

    number: int
    name: str
    origin: Instruction
    base: str | int
    instructions: tuple[Instruction, ...]
    uses: frozenset[int]


class Plan(Struct, frozen=True):
    """The stages to build, in order; the last one is the image. ``arguments`` are those declared before any FROM."""

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str]
    escape: str


def plan(dockerfile: Dockerfile, target: str, given: Mapping[str, str], builtin: Mapping[str, str]) -> Plan:
    """Decides what is built. ``given`` are the caller's build arguments, ``builtin`` those of the platform.

    Raises BuildFailure.
    """
    head, groups = _split(dockerfile.instructions)
    arguments = dict(builtin)
    for instruction in head:
        arguments |= declared(instruction, arguments, given, dockerfile.escape)
    stages: list[Stage] = []
    for group in groups:
        try:
            stages.append(_stage(group, stages, {**builtin, **arguments}, dockerfile.escape))
        except BuildFailure as error:
            raise error.at(group[0].line) from None
    wanted = _target(stages, target)
    return Plan(tuple(stages[number] for number in sorted(_needed(stages, wanted))), arguments, dockerfile.escape)


def declared(
    instruction: Instruction, known: Mapping[str, str], given: Mapping[str, str], escape: str
) -> dict[str, str]:
    """What an ARG instruction declares: the caller's value, else the default; without either the name is not set."""
    found: dict[str, str] = {}
    for word in words.split_raw(instruction.rest, escape):
        name, equals, default = word.partition("=")
        if name in given:
            found[name] = given[name]
        elif equals:
            found[name] = words.expand(default, {**known, **found}, escape)
    return found


def find_stage(stages: Sequence[Stage], text: str) -> int | None:
    """The number of the stage that ``--from=text`` means; None when it must be an image."""
    for stage in reversed(stages):
        if stage.name and stage.name == text.lower():
            return stage.number
    if text.isdigit() and int(text) < len(stages):
        return int(text)
    return None


def _split(instructions: Sequence[Instruction]) -> tuple[list[Instruction], list[list[Instruction]]]:
    head: list[Instruction] = []
    groups: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            groups.append([instruction])
        elif groups:
            groups[-1].append(instruction)
        elif instruction.keyword == "ARG":
            head.append(instruction)
        else:
            raise BuildFailure("no build stage in current context: only ARG may come before FROM", instruction.line)
    if not groups:
        raise BuildFailure("the Dockerfile has no FROM instruction")
    return head, groups


def _stage(group: Sequence[Instruction], before: Sequence[Stage], variables: Mapping[str, str], escape: str) -> Stage:
    origin = group[0]
    parts = words.split(origin.rest, variables, escape)
    for flag, value in origin.flags:
        if flag != "platform":
            raise BuildFailure(f"unknown flag: --{flag}")
        _check_platform(words.expand(value, variables, escape))
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1].lower() != "as"):
        raise BuildFailure("FROM requires either one or three arguments")
    if not parts[0]:
        raise BuildFailure(f"base name ({origin.rest}) should not be blank")
    name = parts[2].lower() if len(parts) == 3 else ""
    named = next((stage.number for stage in reversed(before) if stage.name and stage.name == parts[0].lower()), None)
    uses = {
        number
        for instruction in group[1:]
        for flag, value in instruction.flags
        if flag == "from" and (number := find_stage(before, value)) is not None
    }
    return Stage(len(before), name, origin, parts[0] if named is None else named, tuple(group[1:]), frozenset(uses))


def _check_platform(text: str) -> None:
    """An image for another kind of machine could be named, but nothing in it could be run."""
    machine = Platform.of_this_machine()
    system, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    if not machine.runs(Platform(architecture, variant, system)):
        raise BuildFailure(f"FROM --platform={text} is not supported: this machine is {machine}")


def _target(stages: Sequence[Stage], target: str) -> int:
    if not target:
        return len(stages) - 1
    number = find_stage(stages, target)
    if number is None:
        raise BuildFailure(f"target stage {target!r} could not be found")
    return number


def _needed(stages: Sequence[Stage], wanted: int) -> set[int]:
    needed: set[int] = set()
    pending = [wanted]
    while pending:
        stage = stages[pending.pop()]
        if stage.number in needed:
            continue
        needed.add(stage.number)
        pending += stage.uses
        if isinstance(stage.base, int):
            pending.append(stage.base)
    return needed
