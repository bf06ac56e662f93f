"""The schema of the built-in types, for those who walk a plain tree beside its type: patches, apply, OpenAPI.

``for_kind("apps", "v1", "Deployment")`` or ``for_class(apps.Deployment)`` gives a ``TypeSchema``; its ``properties``
tell for every field what it holds and how it merges::

    containers = schema.named("core/v1.PodSpec").properties["containers"]
    containers.form, containers.list_type, containers.map_keys     # "list", "map", ("name",)
    containers.merge_key, containers.strategies                    # "name", ("merge",)
    schema.struct_of(containers).name                              # "core/v1.Container"

Strategic merge: a list merges when ``"merge" in strategies`` (members by ``merge_key``; without one, as a set of
scalars) and is replaced otherwise; ``"replace"`` and ``"retainKeys"`` mean the same for structs. Server-side apply:
``list_type`` ("atomic", "set", "map"; empty is atomic), ``map_keys``, and ``map_type`` of the property or else of the
type ("atomic", "granular"; empty is granular).

OpenAPI: ``full_name`` is the name of the definition, ``kinds`` its x-kubernetes-group-version-kind, ``required`` and
``unions`` as they stand there. A scalar's ``name`` is ``string``, ``integer:int32``, ... or, after ``=``, one of the
named scalars (``=Quantity``, ``=Time``), whose definitions are ``scalar_definitions()``. ``is_value`` marks a struct
that Go holds by value, whose default is ``{}``.

The table stands in data/schema.json (made by tools/generate_types.py, which describes its form) and is read when first
asked for; types are taken apart one by one when they are used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec
from msgspec import Struct

Form = Literal["scalar", "struct", "list", "map"]


class Property(Struct, frozen=True):
    """What a field, or the member of a list or map, holds. ``name`` is the scalar's or the type's, empty for lists and
    maps, whose members ``member`` describes."""

    form: Form
    name: str = ""
    member: Property | None = None
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    map_type: str = ""
    merge_key: str = ""
    strategies: tuple[str, ...] = ()
    is_value: bool = False


class TypeSchema(Struct, frozen=True):
    """One type, named ``package.Type`` as in ``core/v1.PodSpec``."""

    name: str
    full_name: str
    properties: Mapping[str, Property]
    required: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str, str], ...] = ()
    map_type: str = ""
    unions: Sequence[Mapping[str, Any]] = ()


@cache
def named(name: str) -> TypeSchema:
    """The type of that name (``core/v1.PodSpec``). Raises KeyError."""
    entry = _table()["types"][name]
    return TypeSchema(
        name=name,
        full_name=full_name(name),
        properties={wire: _property(text) for wire, text in entry["properties"].items()},
        required=tuple(entry.get("required", ())),
        kinds=tuple((group, version, kind) for group, version, kind in entry.get("gvk", ())),
        map_type=entry.get("map", ""),
        unions=entry.get("unions", ()),
    )


def names() -> tuple[str, ...]:
    """The names of all types, sorted by full name."""
    return tuple(_table()["types"])


def for_kind(group: str, version: str, kind: str) -> TypeSchema | None:
    """The type of objects of that kind; None for a kind that is not built in."""
    name = _names_by_kind().get((group, version, kind))
    return named(name) if name else None


def for_class(cls: type[msgspec.Struct]) -> TypeSchema:
    """The type of a struct class's objects. Raises KeyError for a class that is none of the API's."""
    group, version = cls.__module__.split(".")[2:4]
    return named(f"{group}/{version}.{cls.__name__}")


def struct_of(value: Property) -> TypeSchema | None:
    """The struct type that a property holds, or that the members of its list or map are; None for scalars."""
    while value.member is not None:
        value = value.member
    return named(value.name) if value.form == "struct" else None


def full_name(name: str) -> str:
    """``io.k8s.api.core.v1.Pod`` of ``core/v1.Pod``."""
    package, _, plain = name.rpartition(".")
    if name == "meta/v1.VersionInfo":
        return "io.k8s.apimachinery.pkg.version.Info"
    return f"{_table()['prefixes'][package]}.{plain}"


def scalar_definitions() -> Mapping[str, Mapping[str, Any]]:
    """The OpenAPI v2 definitions of the named scalars, by full name."""
    definitions: Mapping[str, Mapping[str, Any]] = _table()["scalars"]
    return definitions


def source() -> bytes:
    """The table as it is stored, for those who must notice that it has changed."""
    return files("podkeeper.api").joinpath("data/schema.json").read_bytes()


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(source())
    return table


@cache
def _names_by_kind() -> dict[tuple[str, str, str], str]:
    return {
        (group, version, kind): name
        for name, entry in _table()["types"].items()
        for group, version, kind in entry.get("gvk", ())
    }


def _property(entry: str | list[Any]) -> Property:
    text, extras = (entry, {}) if isinstance(entry, str) else entry
    form, name, member = _take_apart(text)
    return Property(
        form=form,
        name=name,
        member=member,
        list_type=extras.get("list", ""),
        map_keys=tuple(extras.get("keys", ())),
        map_type=extras.get("map", ""),
        merge_key=extras.get("merge", ""),
        strategies=tuple(filter(None, extras.get("strategy", "").split(","))),
        is_value=extras.get("value", False),
    )


def _take_apart(text: str) -> tuple[Form, str, Property | None]:
    if text[0] in "[{":
        form, name, member = _take_apart(text[1:])
        return "list" if text[0] == "[" else "map", "", Property(form, name, member)
    return "struct" if "/" in text else "scalar", text, None
