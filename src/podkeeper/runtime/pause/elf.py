"""A static ELF file around position-independent machine code: two program headers, no sections, no symbols."""

from __future__ import annotations

import struct
from collections.abc import Mapping

MACHINES: Mapping[str, int] = {"amd64": 62, "arm64": 183}
BASE = 0x400000
_PAGE = 0x10000  # the largest page size of arm64, harmless elsewhere
_HEADER, _PROGRAM_HEADER = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_EXECUTABLE, _LOAD, _GNU_STACK = 2, 1, 0x6474E551
_READ_EXECUTE, _READ_WRITE = 5, 6


def executable(code: bytes, architecture: str) -> bytes:
    """``code`` as a program whose first byte is its entry point. The stack is not executable."""
    headers = _HEADER.size + 2 * _PROGRAM_HEADER.size
    size = headers + len(code)
    identity = b"\x7fELF" + bytes([2, 1, 1])  # 64 bit, little endian, version 1
    header = _HEADER.pack(
        identity, _EXECUTABLE, MACHINES[architecture], 1, BASE + headers, _HEADER.size, 0, 0,
        _HEADER.size, _PROGRAM_HEADER.size, 2, 0, 0, 0,
    )  # fmt: skip
    load = _PROGRAM_HEADER.pack(_LOAD, _READ_EXECUTE, 0, BASE, BASE, size, size, _PAGE)
    stack = _PROGRAM_HEADER.pack(_GNU_STACK, _READ_WRITE, 0, 0, 0, 0, 0, 16)
    return header + load + stack + code
