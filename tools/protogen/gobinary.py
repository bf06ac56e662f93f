"""Reads what a Go program knows of its own types: every struct's fields with their types and tags.

A Go binary carries descriptions of its types for reflection, also when it has no symbols: package ``internal/abi`` of
Go's source tells their form. A name or a type is told there by its offset from one base address, which the binary's
module data holds. Only 64-bit little-endian ELF at a fixed address, as Go builds programs by default.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_KINDS = {
    1: "bool", 2: "int", 3: "int8", 4: "int16", 5: "int32", 6: "int64", 7: "uint", 8: "uint8", 9: "uint16",
    10: "uint32", 11: "uint64", 13: "float32", 14: "float64", 20: "interface", 21: "map", 22: "pointer", 23: "slice",
    24: "string", 25: "struct",
}  # fmt: skip
#: The kinds that a program lists: those of types that need no name.
_LISTED_KINDS = frozenset((17, 18, 19, 20, 21, 22, 23, 25))
_UNNAMED = frozenset(("other", "interface", "map"))  # their names are not needed
_UNCOMMON, _EXTRA_STAR, _NAMED = 1, 2, 4
#: Sizes: what every description begins with, and the rest of it by kind.
_COMMON, _REST = 48, {"struct": 32, "pointer": 8, "slice": 8}
_TAG = re.compile(r'(\w+):"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the file and where the program finds it in memory."""

    address: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class GoField:
    """One field of a struct. ``tags`` as in ``{"json": "name,omitempty", "protobuf": "bytes,1,opt,name=name"}``."""

    name: str
    type: GoType
    tags: dict[str, str]
    embedded: bool


class GoType:
    """One type. ``name`` is ``import/path.Name``, empty for types without a name of their own."""

    def __init__(self, binary: GoBinary, address: int) -> None:
        self._binary, self._address = binary, address
        flags, kind, text = binary.numbers("<20xB2xB16xi", address)
        self.kind = _KINDS.get(kind & 31, "other")
        self.name = self._full_name(flags, text) if flags & _NAMED and self.kind not in _UNNAMED else ""
        self._flags, self._text = flags, text

    @property
    def text(self) -> str:
        """The type as Go's reflection writes it: ``[]v1.Container``, ``v1.ResourceList``."""
        text, _ = self._binary.name_and_tag(self._binary.base + self._text)
        return text.removeprefix("*") if self._flags & _EXTRA_STAR else text

    def __repr__(self) -> str:
        return f"<GoType {self.name or self.kind}>"

    def _full_name(self, flags: int, text: int) -> str:
        short, _ = self._binary.name_and_tag(self._binary.base + text)
        short = short.removeprefix("*") if flags & _EXTRA_STAR else short
        return f"{self._package() if flags & _UNCOMMON else ''}.{short.rpartition('.')[2]}"

    def _package(self) -> str:
        (offset,) = self._binary.numbers("<i", self._address + _COMMON + _REST.get(self.kind, 0))
        return self._binary.name_and_tag(self._binary.base + offset)[0] if offset else ""

    @cached_property
    def member(self) -> GoType:
        """What a pointer points to, what a slice or (its values) a map holds."""
        offset = _COMMON + (8 if self.kind == "map" else 0)
        return self._binary.type_at(self._binary.numbers("<Q", self._address + offset)[0])

    @cached_property
    def key(self) -> GoType:
        """What the keys of a map are."""
        return self._binary.type_at(self._binary.numbers("<Q", self._address + _COMMON)[0])

    @cached_property
    def fields(self) -> tuple[GoField, ...]:
        """The fields of a struct in their order."""
        start, count = self._binary.numbers("<QQ", self._address + _COMMON + 8)
        return tuple(self._field(start + 24 * index) for index in range(count))

    def _field(self, address: int) -> GoField:
        name_at, type_at = self._binary.numbers("<QQ", address)
        name, tag = self._binary.name_and_tag(name_at)
        (flags,) = self._binary.numbers("<B", name_at)
        return GoField(name, self._binary.type_at(type_at), dict(_TAG.findall(tag)), bool(flags & 8))


class GoBinary:
    """The types in a program."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        if self._data[:6] != b"\x7fELF\x02\x01":
            raise SystemExit(f"{path} is no 64-bit little-endian ELF program")
        self._sections = dict(self._read_sections())
        self._rodata = self._sections[".rodata"]
        self._types: dict[int, GoType] = {}
        self.base = self._find_base()

    def _read_sections(self) -> Iterator[tuple[str, Section]]:
        (table,) = struct.unpack_from("<Q", self._data, 0x28)
        size, count, names = struct.unpack_from("<HHH", self._data, 0x3A)
        headers = [struct.unpack_from("<II8xQQQ", self._data, table + size * index) for index in range(count)]
        for name, _, address, offset, length in headers:
            start = headers[names][3] + name
            yield self._data[start : self._data.index(b"\0", start)].decode(), Section(address, offset, length)

    def _find_base(self) -> int:
        """The address from which names and types are counted: the one word of the module data that fits."""
        module = self._sections[".go.module"]
        words = self._data[module.offset : module.offset + module.size // 8 * 8]
        for (word,) in struct.iter_unpack("<Q", words):
            if self._in_rodata(word) and self._fits(word):
                return int(word)
        raise SystemExit("the program's types are not found: a release of Go that this reader does not know?")

    def _fits(self, base: int) -> bool:
        places = [base + link for link in self._links()]
        return all(self._in_rodata(at) and self.numbers("<23xB", at)[0] & 31 in _LISTED_KINDS for at in places)

    def _in_rodata(self, address: int) -> bool:
        return self._rodata.address <= address < self._rodata.address + self._rodata.size - _COMMON

    def _links(self) -> list[int]:
        """Where the types that need no name are described: offsets from the base."""
        section = self._sections[".typelink"]
        return [link for (link,) in struct.iter_unpack("<i", self._data[section.offset :][: section.size])]

    def numbers(self, form: str, address: int) -> tuple[int, ...]:
        """Numbers at an address."""
        return struct.unpack_from(form, self._data, address - self._rodata.address + self._rodata.offset)

    def name_and_tag(self, address: int) -> tuple[str, str]:
        """A name and, if it is a field's, its tag."""
        (flags,) = self.numbers("<B", address)
        text, address = self._text(address + 1)
        return text, self._text(address)[0] if flags & 2 else ""

    def _text(self, address: int) -> tuple[str, int]:
        """A text with its length before it, and where it ends."""
        length = shift = 0
        while True:
            (byte,) = self.numbers("<B", address)
            address += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        start = address - self._rodata.address + self._rodata.offset
        return self._data[start : start + length].decode(), address + length

    def type_at(self, address: int) -> GoType:
        """The type that is described at an address."""
        if address not in self._types:
            self._types[address] = GoType(self, address)
        return self._types[address]

    def structs(self) -> dict[str, GoType]:
        """Every struct type with a name that a pointer, slice or map type, or another struct of these, leads to."""
        found: dict[str, GoType] = {}
        waiting = [self.type_at(self.base + link) for link in self._links()]
        seen: set[GoType] = set()
        while waiting:
            each = waiting.pop()
            if each in seen:
                continue
            seen.add(each)
            if each.kind in ("pointer", "slice", "map"):
                waiting.append(each.member)
            elif each.kind == "struct" and each.name:
                found[each.name] = each
                waiting.extend(field.type for field in each.fields)
        return found
