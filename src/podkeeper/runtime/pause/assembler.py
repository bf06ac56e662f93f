"""A two-pass assembler for the handful of instructions that the pause program uses.

The first pass measures every statement and places the labels, the second one encodes. Whatever is not in an
instruction set's table is refused by name. The encodings are those of the Intel SDM volume 2 and of the Arm
Architecture Reference Manual, and the shortest forms, as GNU as chooses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from podkeeper.runtime.pause import amd64, arm64

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LABEL = re.compile(r"(\w+):\s*(.*)")
_IGNORED = (".intel_syntax", ".globl")

Encoder = Callable[[str, list[str], int, Mapping[str, int]], bytes]
ENCODERS: Mapping[str, Encoder] = {"amd64": amd64.encode, "arm64": arm64.encode}


class AssemblyError(Exception):
    """A statement that this assembler does not know; the text quotes it."""


class Statement(Struct, frozen=True):
    """One line: labels that stand before it, a mnemonic and its operands (an empty mnemonic for labels alone)."""

    labels: tuple[str, ...]
    mnemonic: str
    operands: tuple[str, ...]


def parse(source: str) -> Iterator[Statement]:
    """The statements of ``source`` in order, comments gone."""
    for line in _COMMENT.sub("", source).splitlines():
        text, labels = line.strip(), []
        while found := _LABEL.fullmatch(text):
            labels.append(found[1])
            text = found[2].strip()
        mnemonic, _, rest = text.partition(" ")
        if mnemonic in _IGNORED:
            continue
        if text or labels:
            yield Statement(tuple(labels), mnemonic, tuple(part.strip() for part in rest.split(",") if part.strip()))


def assemble(source: str, architecture: str) -> bytes:
    """The machine code of ``source`` for ``amd64`` or ``arm64``, starting at its first statement."""
    encode, statements = ENCODERS[architecture], list(parse(source))
    labels: dict[str, int] = {label: 0 for statement in statements for label in statement.labels}
    for _ in range(2):  # sizes do not depend on distances, so the second pass sees every label in its place
        code = b""
        for statement in statements:
            labels.update(dict.fromkeys(statement.labels, len(code)))
            code += _encode(encode, statement, len(code), labels)
    return code


def _encode(encode: Encoder, statement: Statement, position: int, labels: Mapping[str, int]) -> bytes:
    if not statement.mnemonic:
        return b""
    if statement.mnemonic == ".quad":
        return int(statement.operands[0], 0).to_bytes(8, "little")
    try:
        return encode(statement.mnemonic, list(statement.operands), position, labels)
    except (KeyError, ValueError, OverflowError) as error:
        raise AssemblyError(f"cannot encode {statement.mnemonic} {', '.join(statement.operands)}") from error
