"""The built-in part of the catalogue, and finding a row in it by path, by class or by kind.

The rows themselves are made by tools/generate_types.py. Struct classes are named, not loaded: ``codec.struct_class``
does that for the resources that are used.
"""

from __future__ import annotations

import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.api.resource_rows import ROWS

RESOURCES = ROWS

_BY_NAME = {(row.group, row.version, row.name): row for row in RESOURCES}
_BY_KIND = {(row.group, row.version, row.kind): row for row in RESOURCES}
_BY_TYPE = {row.type_name: row for row in RESOURCES}


def lookup(group: str, version: str, plural: str) -> Resource | None:
    """The row of ``/apis/GROUP/VERSION/PLURAL``, also of a version that is off; None when there is none."""
    return _BY_NAME.get((group, version, plural))


def for_kind(group: str, version: str, kind: str) -> Resource | None:
    """The row whose objects are of that kind; None for kinds that only subresources speak (Scale, Eviction, ...)."""
    return _BY_KIND.get((group, version, kind))


def for_type(struct_class: type[msgspec.Struct]) -> Resource:
    """The row whose objects are of that class (``for_type(v1.Pod)``). Raises LookupError when it is no resource's."""
    package = struct_class.__module__.rpartition(".")[0]
    row = _BY_TYPE.get(f"{package}:{struct_class.__name__}")
    if row is None:
        raise LookupError(f"{struct_class.__module__}.{struct_class.__name__} is not the type of a resource")
    return row
