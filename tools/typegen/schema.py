"""The compact schema table: what tools/generate_types.py writes for podkeeper.api.schema to read.

``{"prefixes": {package: full prefix}, "scalars": {full name: definition}, "types": {name: type}}``, where a type is
``{"properties": {wire: shape or [shape, extras]}, "required", "gvk", "map", "unions"}``. Shapes are text: ``[`` before
a list's member, ``{`` before a map's, ``=Name`` a named scalar, ``type:format`` a scalar, anything else a type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from typegen.facts import SCALARS, Shape, Type, package_of
from typegen.gotypes import is_struct_value

EXTRAS = {
    "x-kubernetes-list-type": "list",
    "x-kubernetes-list-map-keys": "keys",
    "x-kubernetes-map-type": "map",
    "x-kubernetes-patch-merge-key": "merge",
    "x-kubernetes-patch-strategy": "strategy",
}


def render_schema(types: Mapping[str, Type], definitions: Mapping[str, Any]) -> str:
    """Text of the table: one line per type, sorted."""
    prefixes = {package_of(name)[0]: name.rsplit(".", 1)[0] for name in types if package_of(name)[1] != "VersionInfo"}
    lines = [f"{json.dumps(_short(name))}: {_dump(_type_entry(type_))}" for name, type_ in sorted(types.items())]
    scalars = {name: definitions[name] for name in sorted(SCALARS) if name in definitions}
    head = f'{{"prefixes": {_dump(dict(sorted(prefixes.items())))},\n"scalars": {_dump(scalars)},\n"types": {{\n'
    return head + ",\n".join(lines) + "\n}}\n"


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _short(full_name: str) -> str:
    package, name = package_of(full_name)
    return f"{package}.{name}"


def _type_entry(type_: Type) -> dict[str, Any]:
    raw = type_.raw
    entry: dict[str, Any] = {"properties": {wire: _property(type_, wire) for wire in sorted(raw.get("properties", {}))}}
    if raw.get("required"):
        entry["required"] = raw["required"]
    if "x-kubernetes-group-version-kind" in raw:
        kinds = raw["x-kubernetes-group-version-kind"]
        entry["gvk"] = [[each["group"], each["version"], each["kind"]] for each in kinds]
    if "x-kubernetes-map-type" in raw:
        entry["map"] = raw["x-kubernetes-map-type"]
    if "x-kubernetes-unions" in raw:
        entry["unions"] = raw["x-kubernetes-unions"]
    return entry


def _property(type_: Type, wire: str) -> Any:
    field = next(each for each in type_.fields if each.wire == wire)
    raw = type_.raw["properties"][wire]
    extras: dict[str, Any] = {short: raw[key] for key, short in EXTRAS.items() if key in raw}
    if field.shape.form == "struct" and is_struct_value(type_, field):
        extras["value"] = True
    text = _shape_text(field.shape, raw)
    return [text, extras] if extras else text


def _shape_text(shape: Shape, raw: Mapping[str, Any]) -> str:
    if shape.form == "list" and shape.of:
        return "[" + _shape_text(shape.of, raw["items"])
    if shape.form == "map" and shape.of:
        return "{" + _shape_text(shape.of, raw["additionalProperties"])
    if shape.form == "struct":
        return _short(shape.name)
    if isinstance(raw.get("$ref"), str):
        return "=" + raw["$ref"].rsplit("/", 1)[-1].rsplit(".", 1)[-1]
    return ":".join(filter(None, (raw["type"], raw.get("format", ""))))
