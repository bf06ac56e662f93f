"""Which part of an old object a part of a new one replaces: members by name, items of a map list by their keys."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api.structural.schema import Schema

MISSING: Any = msgspec.UNSET


class Correlation(Struct, frozen=True):
    """``value`` is what a place was before: ``MISSING`` where that cannot be said. Then ``around``, the nearest place
    that can be compared, decides whether anything has changed: its new and its old value."""

    value: Any = MISSING
    around: tuple[Any, Correlation] | None = None

    @property
    def known(self) -> bool:
        """Whether there was a value here."""
        return self.value is not MISSING and self.value is not None

    def unchanged(self, new: Any) -> bool:
        """Whether the value, or one around it, is what it was."""
        if self.value is not MISSING:
            return same(new, self.value)
        return self.around is not None and self.around[1].unchanged(self.around[0])

    def below(self, parent: Any, before: Any) -> Correlation:
        """A part of ``parent``, the new value here, that was ``before``."""
        return Correlation(before, (parent, self) if self.value is not MISSING else self.around)

    def member(self, schema: Schema, parent: Any, name: str) -> Correlation:
        """A member of an object; those of an atomic one cannot be told apart."""
        if schema.atomic_map or not isinstance(self.value, dict):
            return self.below(parent, MISSING)
        return self.below(parent, self.value.get(name, MISSING))


def matching_items(schema: Schema, new: list[Any], old: Any) -> list[Any]:
    """For each item of a list what it was before; ``MISSING`` in lists that are not maps."""
    if schema.list_type != "map" or not isinstance(old, list):
        return [MISSING] * len(new)
    known = {_key(schema, item): item for item in old}
    return [known.get(_key(schema, item), MISSING) for item in new]


def _key(schema: Schema, item: Any) -> bytes:
    if not isinstance(item, dict):
        return b""
    return msgspec.json.encode([item.get(name) for name in schema.map_keys])


def same(one: Any, other: Any) -> bool:
    """Equality of JSON: true is not 1. Takes values as deep as bodies may be."""
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs += [(value, other[name]) for name, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(one, bool) != isinstance(other, bool) or one != other:
            return False
    return True
