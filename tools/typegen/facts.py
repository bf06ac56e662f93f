"""The published facts as plain Python: every type of the OpenAPI v2 document with its fields, in one normal form.

A type's place is ``group/version`` with the first label of the group's name (``rbac/v1``); types that are only another
spelling of a scalar (Quantity, Time, IntOrString, ...) are no types here but scalars of the fields that use them.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCALARS = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "Quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "IntOrString",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "Time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "MicroTime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "Any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "Any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "Any",
}
FORMATS = {
    ("integer", "int32"): "Int32",
    ("integer", "int64"): "Int64",
    ("number", "double"): "float",
    ("string", "byte"): "Base64",
    ("string", ""): "str",
    ("boolean", ""): "bool",
    ("object", ""): "Any",
}
PACKAGES = {"apiserverinternal": "internal"}  # the one API package that is not named after its group's first label
FIRST = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value is: a ``scalar`` by name, a struct by its type's name, or a ``list`` or ``map`` of another shape."""

    form: str
    name: str = ""
    of: Shape | None = None

    def struct_names(self) -> Iterator[str]:
        """The type that this shape is made of, if it is made of one."""
        if self.form == "struct":
            yield self.name
        elif self.of:
            yield from self.of.struct_names()


@dataclass(frozen=True, slots=True)
class Field:
    """One field under its wire name."""

    wire: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class Type:
    """One struct type; ``gvk`` is (group, version, kind) when objects of it carry apiVersion and kind."""

    full_name: str
    package: str
    name: str
    fields: tuple[Field, ...]
    gvk: tuple[str, str, str] | None
    raw: Mapping[str, Any]

    def references(self) -> set[str]:
        """Full names of the types that its fields are made of."""
        return {name for field in self.fields for name in field.shape.struct_names()}


def package_of(full_name: str) -> tuple[str, str]:
    """``("rbac/v1", "PolicyRule")`` of ``io.k8s.api.rbac.v1.PolicyRule``."""
    parts = full_name.split(".")
    if parts[-2] == "version":
        return "meta/v1", "VersionInfo"
    group, version = parts[-3], parts[-2]
    return f"{PACKAGES.get(group, group)}/{version}", parts[-1]


def load_types(folder: Path) -> dict[str, Type]:
    """Every struct type of ``openapi-definitions.json``, by full name."""
    definitions = json.loads((folder / "openapi-definitions.json").read_text())
    numbers = json.loads((folder / "protobuf-fields.json").read_text())
    types = {}
    for full_name, raw in sorted(definitions.items()):
        if full_name in SCALARS:
            continue
        package, name = package_of(full_name)
        order = declared_order(full_name, numbers, definitions)
        properties = raw.get("properties", {})
        required = set(raw.get("required", ()))
        wires = sorted(properties, key=lambda wire: (_rank(wire), order.get(wire, 999), wire))
        fields = tuple(Field(wire, _shape(properties[wire]), wire in required) for wire in wires)
        types[full_name] = Type(full_name, package, name, fields, _object_kind(raw, properties), raw)
    return types


def _rank(wire: str) -> int:
    return FIRST.index(wire) if wire in FIRST else len(FIRST)


def declared_order(full_name: str, numbers: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, int]:
    """Upstream's order of a type's fields: by protobuf number, members of embedded structs in their place."""
    message = numbers.get(_message(full_name), {})
    properties = definitions[full_name].get("properties", {})
    order: dict[str, int] = {}
    for wire, (_, *rest) in sorted(message.items(), key=lambda item: item[1][0]):
        embedded = numbers.get(_qualified(full_name, rest[-1]), {}) if wire not in properties else {}
        for name in sorted(embedded, key=lambda each: embedded[each][0]) or [wire]:
            order.setdefault(name, len(order))
    return order


def _message(full_name: str) -> str:
    return full_name.removeprefix("io.").replace("k8s.", "k8s.io.", 1)


def _qualified(full_name: str, type_name: str) -> str:
    plain = type_name.removeprefix(".")
    return plain if "." in plain else f"{_message(full_name).rsplit('.', 1)[0]}.{plain}"


def _object_kind(raw: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[str, str, str] | None:
    kinds = [(each["group"], each["version"], each["kind"]) for each in raw.get("x-kubernetes-group-version-kind", ())]
    if not kinds or "apiVersion" not in properties:
        return None
    return next((kind for kind in kinds if kind[:2] == ("", "v1")), kinds[0])


def _shape(raw: Mapping[str, Any]) -> Shape:
    if isinstance(raw.get("$ref"), str):
        target = raw["$ref"].rsplit("/", 1)[-1]
        return Shape("scalar", SCALARS[target]) if target in SCALARS else Shape("struct", target)
    if raw.get("type") == "array":
        return Shape("list", of=_shape(raw["items"]))
    if raw.get("additionalProperties"):
        return Shape("map", of=_shape(raw["additionalProperties"]))
    return Shape("scalar", FORMATS[raw["type"], raw.get("format", "")])


def python_name(wire: str) -> str:
    """``podIP`` -> ``pod_ip``, ``hostIPs`` -> ``host_ips``, ``continue`` -> ``continue_``, ``$ref`` -> ``ref``."""
    plain = wire.lstrip("$").replace("-", "_").replace("APIV3", "ApiV3")
    plain = re.sub(r"([A-Z]+)s(?=[A-Z]|$)", lambda match: match[1].capitalize() + "s", plain)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain).lower()
    return plain + "_" if plain in RESERVED else plain


# Python keywords, and the builtin types that annotations in the same class body must still mean.
RESERVED = frozenset([*keyword.kwlist, "bool", "int", "str", "float", "tuple"])
