"""The table of messages: which number and type every field of every message has.

messages.json is made by tools/generate_protobuf.py. It names the API groups by their Go packages, the messages that are
kinds, and for every message its fields by JSON name, each as a number, flags and a type::

    "image": "2?string"       a number and a type; the field is on the wire also when it is empty
    *                         a pointer: on the wire only when it is set
    ?                         JSON leaves it out when it is empty (but for structs, which Go never finds empty)
    [                         repeated
    {                         a map from strings
    =                         a message whose fields stand in JSON among those of its parent

A type is a scalar (``bool bytes double int32 int64 string``), one of the values that JSON writes in a way of its own
(``Quantity``, ``Time``, ...: see ``values``), ``Strings`` (a message that only holds a list), or a message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

_FORM = re.compile(r"(\d+)(\*?)(\??)([=\[{]?)(.+)")
#: Every API version has these kinds, which are messages of meta/v1.
_EVERYWHERE = frozenset(
    ("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "WatchEvent")
)
#: Kinds that Go knows only in the version v1 of the core group and of the meta package.
_UNVERSIONED = frozenset(("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "List", "Status"))


class Field(Struct, frozen=True):
    """One field. ``form`` is ``""``, ``=``, ``[`` or ``{``, as above."""

    name: str
    number: int
    type: str
    form: str = ""
    pointer: bool = False
    omitempty: bool = False


@cache
def fields(message: str) -> tuple[Field, ...]:
    """The fields of a message in the order of their numbers. Raises KeyError."""
    return tuple(_field(name, text) for name, text in _table()["messages"][message].items())


def messages() -> tuple[str, ...]:
    """The names of all messages, such as ``core/v1.PodSpec``."""
    return tuple(_table()["messages"])


def message_of(api_version: str, kind: str) -> str | None:
    """The message of a kind; None for kinds that have none: custom resources, Table."""
    group, _, version = api_version.rpartition("/")
    package = _table()["groups"].get(group)
    if package is None:
        return None
    if kind in _EVERYWHERE:
        return f"meta/v1.{kind}"
    if kind in _UNVERSIONED and api_version in ("v1", "meta.k8s.io/v1"):
        return f"meta/v1.{kind}"
    if api_version == "meta.k8s.io/v1beta1" and kind == "PartialObjectMetadata":
        return "meta/v1.PartialObjectMetadata"
    name = f"{package}/{version}.{kind}"
    return name if name in _kinds() else None


def is_kind(api_version: str, kind: str) -> bool:
    """Whether objects of that kind can be protobuf."""
    return message_of(api_version, kind) is not None


def _field(name: str, text: str) -> Field:
    match = _FORM.fullmatch(text)
    assert match is not None, f"field {name}: {text}"
    number, pointer, empty, form, type_ = match.groups()
    return Field(name, int(number), type_, form, bool(pointer), bool(empty))


@cache
def _kinds() -> frozenset[str]:
    return frozenset(_table()["kinds"])


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(files("podkeeper.api.protobuf").joinpath("messages.json").read_bytes())
    return table
