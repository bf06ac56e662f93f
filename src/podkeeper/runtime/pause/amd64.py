"""Encodings of the x86-64 instructions that pause_amd64.S uses."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
_REGISTERS_32 = {f"e{name}": number for number, name in enumerate(_NAMES)} | {f"r{n}d": n for n in range(8, 16)}
_REGISTERS_64 = {f"r{name}": number for number, name in enumerate(_NAMES)} | {f"r{n}": n for n in range(8, 16)}
_SHORT_JUMPS = {"je": 0x74, "js": 0x78, "jg": 0x7F, "jmp": 0xEB}


def encode(mnemonic: str, operands: list[str], position: int, labels: Mapping[str, int]) -> bytes:
    """One instruction at ``position``. KeyError or ValueError for what is not known."""
    match mnemonic, operands:
        case "syscall", []:
            return b"\x0f\x05"
        case "mov", [register, immediate]:
            number = _REGISTERS_32[register]
            value = int(immediate, 0) & 0xFFFFFFFF
            return _prefix(base=number) + bytes([0xB8 | number & 7]) + value.to_bytes(4, "little")
        case "xor" | "test", [target, source]:
            rm, reg = _REGISTERS_32[target], _REGISTERS_32[source]
            opcode = {"xor": 0x31, "test": 0x85}[mnemonic]
            return _prefix(base=rm, reg=reg) + bytes([opcode, _modrm(3, reg, rm)])
        case "cmp", [register, immediate]:
            number = _REGISTERS_32[register]
            return _prefix(base=number) + bytes([0x83, _modrm(3, 7, number)]) + _signed(int(immediate, 0), 1)
        case "lea", [register, address]:
            number = _REGISTERS_64[register]
            label = address.strip("[]").replace(" ", "").removeprefix("rip+")
            code = _prefix(wide=True, reg=number) + bytes([0x8D, _modrm(0, number, 5)])
            return code + _signed(labels[label] - (position + len(code) + 4), 4)
        case _, [label]:
            return bytes([_SHORT_JUMPS[mnemonic]]) + _signed(labels[label] - (position + 2), 1)
    raise ValueError(mnemonic)


def _prefix(*, wide: bool = False, reg: int = 0, base: int = 0) -> bytes:
    rex = 0x40 | wide << 3 | reg >> 3 << 2 | base >> 3
    return bytes([rex]) if rex != 0x40 else b""


def _modrm(mod: int, reg: int, rm: int) -> int:
    return mod << 6 | (reg & 7) << 3 | rm & 7


def _signed(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little", signed=True)
