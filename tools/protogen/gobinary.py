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
_UNNAMED = frozenset({"other", "interface", "map"})  # their names are not needed
_NAMED, _UNCOMMON, _EXTRA_STAR = 4, 1, 2
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
        flags, self._kind, text = binary.unpack("<20xB2xB16xi", address)
        self.kind = _KINDS.get(self._kind & 31, "other")
        self.name = self._full_name(flags, text) if flags & _NAMED and self.kind not in _UNNAMED else ""

    def __repr__(self) -> str:
        return f"<GoType {self.name or self.kind}>"

    def _full_name(self, flags: int, text: int) -> str:
        short, _ = self._binary.name(self._binary.base + text)
        short = short.removeprefix("*") if flags & _EXTRA_STAR else short
        return f"{self._package(flags)}.{short.rpartition('.')[2]}"

    def _package(self, flags: int) -> str:
        if not flags & _UNCOMMON:
            return ""
        after = {"struct": 80, "pointer": 56, "slice": 56}.get(self.kind, 48)
        (offset,) = self._binary.unpack("<i", self._address + after)
        return self._binary.name(self._binary.base + offset)[0] if offset else ""

    @cached_property
    def member(self) -> GoType:
        """What a pointer points to, what a slice or (its values) a map holds."""
        offset = 56 if self.kind == "map" else 48
        return self._binary.type_at(self._binary.unpack("<Q", self._address + offset)[0])

    @cached_property
    def key(self) -> GoType:
        """What the keys of a map are."""
        return self._binary.type_at(self._binary.unpack("<Q", self._address + 48)[0])

    @cached_property
    def fields(self) -> tuple[GoField, ...]:
        """The fields of a struct in their order."""
        start, count, _ = self._binary.unpack("<QQQ", self._address + 56)
        return tuple(self._field(start + 24 * index) for index in range(count))

    def _field(self, address: int) -> GoField:
        name_at, type_at = self._binary.unpack("<QQ", address)
        name, tag = self._binary.name(name_at)
        embedded = bool(self._binary.unpack("<B", name_at)[0] & 8)
        return GoField(name, self._binary.type_at(type_at), dict(_TAG.findall(tag)), embedded)


class GoBinary:
    """The types in a program."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        if self._data[:6] != b"\x7fELF\x02\x01":
            raise SystemExit(f"{path} is no 64-bit little-endian ELF program")
        self._sections = dict(self._read_sections())
        self._types: dict[int, GoType] = {}
        self.base = self._find_base()

    def _read_sections(self) -> Iterator[tuple[str, Section]]:
        (table,) = struct.unpack_from("<Q", self._data, 0x28)
        size, count, names = struct.unpack_from("<HHH", self._data, 0x3A)
        headers = [struct.unpack_from("<II8xQQQ", self._data, table + size * index) for index in range(count)]
        strings = headers[names][3]
        for name, _, address, offset, length in headers:
            start = strings + name
            yield self._data[start : self._data.index(b"\0", start)].decode(), Section(address, offset, length)

    def _find_base(self) -> int:
        """The address from which names and types are counted: the one word of the module data that fits."""
        rodata = self._sections[".rodata"]
        module = self._sections[".go.module"]
        for (word,) in struct.iter_unpack("<Q", self._data[module.offset : module.offset + module.size // 8 * 8]):
            if rodata.address <= word < rodata.address + rodata.size and self._fits(word):
                return int(word)
        raise SystemExit("the program's types are not found: a release of Go that this reader does not know?")

    def _fits(self, base: int) -> bool:
        kinds = {17, 18, 19, 20, 21, 22, 23, 25}
        sample = list(self._links())[:500]
        return all(
            self._in_rodata(base + link) and self.unpack("<23xB", base + link)[0] & 31 in kinds for link in sample
        )

    def _in_rodata(self, address: int) -> bool:
        rodata = self._sections[".rodata"]
        return rodata.address <= address < rodata.address + rodata.size - 64

    def _links(self) -> Iterator[int]:
        section = self._sections[".typelink"]
        for (link,) in struct.iter_unpack("<i", self._data[section.offset : section.offset + section.size]):
            yield link

    def unpack(self, form: str, address: int) -> tuple[int, ...]:
        """Numbers at an address."""
        rodata = self._sections[".rodata"]
        return struct.unpack_from(form, self._data, address - rodata.address + rodata.offset)

    def name(self, address: int) -> tuple[str, str]:
        """A name and its tag."""
        flags = self.unpack("<B", address)[0]
        text, address = self._text(address + 1)
        return text, self._text(address)[0] if flags & 2 else ""

    def _text(self, address: int) -> tuple[str, int]:
        length = shift = 0
        while True:
            (byte,) = self.unpack("<B", address)
            address += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        (text,) = self.unpack(f"<{length}s", address)
        return str(text, "utf-8"), address + length  # type: ignore[arg-type, call-overload]

    def type_at(self, address: int) -> GoType:
        """The type that is described at an address."""
        if address not in self._types:
            self._types[address] = GoType(self, address)
        return self._types[address]

    def structs(self) -> dict[str, GoType]:
        """Every struct type with a name that a pointer, slice or map type, or another struct of these, leads to."""
        found: dict[str, GoType] = {}
        waiting = [self.type_at(self.base + link) for link in self._links()]
        seen: set[int] = set()
        while waiting:
            each = waiting.pop()
            if id(each) in seen:
                continue
            seen.add(id(each))
            if each.kind in ("pointer", "slice", "map"):
                waiting.append(each.member)
            elif each.kind == "struct" and each.name:
                found[each.name] = each
                waiting.extend(field.type for field in each.fields)
        return found
