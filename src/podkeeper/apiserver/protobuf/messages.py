"""The table of messages: what each field number is called in JSON and what it holds.

messages.json is made from the protobuf definitions that k8s.io/api publishes: ``{message: {number: "name type"}}``,
where ``[`` before a type says repeated, ``{`` a map (key type, value type), ``=`` a message whose fields JSON has in
its parent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_PACKAGES = {
    "": "core",
    "apiextensions.k8s.io": "apiextensions",
    "apiregistration.k8s.io": "apiregistration",
    "internal.apiserver.k8s.io": "apiserverinternal",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``types`` is one type, or key and value of a map; ``keeps_zero`` tells that zero is not absence."""

    name: str
    types: tuple[str, ...]
    repeated: bool = False
    mapping: bool = False
    inline: bool = False
    keeps_zero: bool = False


@cache
def message(name: str) -> Mapping[int, Field]:
    """The fields of a message by number. Raises KeyError."""
    return {int(number): _field(text) for number, text in _table()[name].items()}


def of_kind(api_version: str, kind: str) -> str | None:
    """The message of a kind; None for a kind that is not in the table."""
    group, _, version = api_version.rpartition("/")
    package = _PACKAGES.get(group, group.partition(".")[0])
    for name in (f"{package}.{version}.{kind}", f"meta.{version}.{kind}"):
        if name in _table():
            return name
    return None


def _field(text: str) -> Field:
    name, _, types = text.partition(" ")
    flag = types[0] if types[0] in "[{=" else ""
    return Field(
        name,
        tuple(types.removeprefix(flag).removesuffix("?").split(",")),
        repeated=flag == "[",
        mapping=flag == "{",
        inline=flag == "=",
        keeps_zero=types.endswith("?"),
    )


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    data = files("podkeeper.apiserver.protobuf").joinpath("messages.json").read_bytes()
    table: Mapping[str, Mapping[str, str]] = json.loads(data)
    return table
