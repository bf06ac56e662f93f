"""Go's types of the API: what a field holds, and what a decoding error calls it.

types.json is made by tools/generate_protobuf.py. It has every struct's fields by JSON name in Go's order, each with a
form; a field of name ``=VolumeSource`` is an embedded struct, whose fields stand among the others::

    core/v1.PodSpec      a struct
    *T  [T  {T           a pointer, a slice, a map from strings
    v1.DNSPolicy=string  a type with a name of its own (or a map whose keys have one), and what it is made of
    int32  Quantity      a scalar, or a type that reads its JSON itself
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from msgspec import Struct

#: Scalars of fixed width, by their bits.
INTEGERS = {"int": 64, "int32": 32, "int64": 64}
_SIGNS = {"*": ("pointer", "*"), "[": ("slice", "[]"), "{": ("map", "map[string]")}
_TEXTS = {
    "FieldsV1": "v1.FieldsV1",
    "IntOrString": "intstr.IntOrString",
    "JSON": "v1.JSON",
    "JSONSchemaPropsOrArray": "v1.JSONSchemaPropsOrArray",
    "JSONSchemaPropsOrBool": "v1.JSONSchemaPropsOrBool",
    "JSONSchemaPropsOrStringArray": "v1.JSONSchemaPropsOrStringArray",
    "MicroTime": "v1.MicroTime",
    "Quantity": "resource.Quantity",
    "RawExtension": "runtime.RawExtension",
    "Time": "v1.Time",
    "interface": "interface {}",
}


class Type(Struct, frozen=True):
    """``kind`` is ``pointer``, ``slice``, ``map``, ``struct`` (``struct`` names it then) or a scalar's or value's name;
    ``text`` is what Go's reflection calls the type."""

    kind: str
    text: str
    member: Type | None = None
    struct: str = ""

    def pointee(self) -> Type:
        """The type itself, or what its pointers lead to."""
        return self.member.pointee() if self.kind == "pointer" and self.member else self


class Field(Struct, frozen=True):
    """A field of a struct. ``within`` names the embedded structs that hold it."""

    name: str
    type: Type
    within: tuple[str, ...] = ()


#: What the handlers of the server decode into, which no program shows.
_HANDLERS = {
    "endpoints/handlers.jsonPatchOp": {"op": "string", "path": "string", "from": "string", "value": "interface"},
}
#: What has no schema: ``map[string]interface {}``.
FREE = Type("map", "map[string]interface {}", Type("interface", "interface {}"))


def struct(name: str) -> Type:
    """The struct of that name (``core/v1.PodSpec``)."""
    return Type("struct", name.rpartition("/")[2], struct=name)


@cache
def fields(name: str) -> Mapping[str, Field]:
    """A struct's fields by JSON name, in Go's order. Raises KeyError."""
    found: dict[str, Field] = {}
    for key, form in _table()[name].items():
        type_ = _type(form)
        if not key.startswith("="):
            found[key] = Field(key, type_)
            continue
        inner = fields(type_.pointee().struct)
        found |= {each.name: Field(each.name, each.type, (key[1:], *each.within)) for each in inner.values()}
    return found


def is_known(name: str) -> bool:
    """Whether there is a struct of that name."""
    return name in _table()


@cache
def _type(form: str) -> Type:
    if form[0] in _SIGNS:
        kind, before = _SIGNS[form[0]]
        member = _type(form[1:])
        return Type(kind, before + member.text, member)
    if "=" in form:
        text, _, rest = form.partition("=")
        plain = _type(rest)
        return Type(plain.kind, text, plain.member, plain.struct)
    return struct(form) if "/" in form else Type(form, _TEXTS.get(form, form))


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    table: dict[str, Mapping[str, str]] = json.loads(files(__package__).joinpath("types.json").read_bytes())
    return table | _HANDLERS
