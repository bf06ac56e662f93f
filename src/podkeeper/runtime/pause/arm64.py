"""Encodings of the A64 instructions that pause_arm64.S uses; each is one little-endian word."""

from __future__ import annotations

from collections.abc import Mapping

_CONDITIONS = {"b.eq": 0, "b.lt": 11, "b.gt": 12}


def encode(mnemonic: str, operands: list[str], position: int, labels: Mapping[str, int]) -> bytes:
    """One instruction at ``position``. KeyError or ValueError for what is not known."""
    return _word(mnemonic, operands, position, labels).to_bytes(4, "little")


def _word(mnemonic: str, operands: list[str], position: int, labels: Mapping[str, int]) -> int:
    match mnemonic, operands:
        case "svc", [immediate]:
            return 0xD4000001 | _unsigned(_immediate(immediate), 16) << 5
        case "mov", [register, immediate]:
            value = _immediate(immediate)
            opcode = 0xD2800000 if value >= 0 else 0x92800000  # MOVZ, or MOVN of the complement
            return opcode | _unsigned(value if value >= 0 else ~value, 16) << 5 | _register(register)
        case "cmp", [register, immediate]:
            return 0xF100001F | _unsigned(_immediate(immediate), 12) << 10 | _register(register) << 5
        case "adr", [register, label]:
            distance = _relative(labels[label] - position, 21)
            return 0x10000000 | (distance & 3) << 29 | distance >> 2 << 5 | _register(register)
        case "b", [label]:
            return 0x14000000 | _relative((labels[label] - position) // 4, 26)
        case _, [label]:
            return 0x54000000 | _relative((labels[label] - position) // 4, 19) << 5 | _CONDITIONS[mnemonic]
    raise ValueError(mnemonic)


def _register(name: str) -> int:
    if not name.startswith("x"):
        raise ValueError(name)
    return _unsigned(int(name[1:]), 5)


def _immediate(text: str) -> int:
    if not text.startswith("#"):
        raise ValueError(text)
    return int(text[1:], 0)


def _unsigned(value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise ValueError(value)
    return value


def _relative(value: int, bits: int) -> int:
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(value)
    return value & (1 << bits) - 1
