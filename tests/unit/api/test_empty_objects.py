"""An empty object's JSON has the members that Go prints of it: values without ``omitempty``, structs held by value."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from podkeeper.api import codec
from podkeeper.api.protobuf import decoding, table
from podkeeper.api.resources import RESOURCES

#: Always set by defaults before anything is encoded.
DEFAULTED = {("core/v1.ServicePort", "targetPort")}


def structs(declared: Any) -> Iterator[type[msgspec.Struct]]:
    """The struct types within a declaration."""
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        yield declared
    for inner in typing.get_args(declared):
        yield from structs(inner)


def messages() -> dict[str, type[msgspec.Struct]]:
    """Every message within the kinds that are served, with its class."""
    found: dict[str, type[msgspec.Struct]] = {}

    def collect(message: str, cls: type[msgspec.Struct]) -> None:
        if message in found:
            return
        found[message] = cls
        declared = {each.encode_name: each.type for each in msgspec.structs.fields(cls)}
        for field in table.fields(message):
            for inner in structs(declared.get(field.name)):
                if field.type in table.messages():
                    collect(field.type, inner)

    for row in RESOURCES:
        if message := table.message_of(row.api_version, row.kind):
            collect(message, codec.struct_class(row))
    return found


def test_what_go_always_prints_is_always_there() -> None:
    found = messages()
    assert len(found) > 400
    missing = set()
    for message, cls in found.items():
        known = {each.encode_name for each in msgspec.structs.fields(cls)}
        printed: dict[str, Any] = {}
        decoding.decoder(message)(b"", 0, 0, printed)
        ours = msgspec.json.decode(msgspec.json.encode(cls(), enc_hook=str))
        missing |= {(message, name) for name in printed if name in known and name not in ours}
    assert missing == DEFAULTED
