"""The table of Go's types, with which decoding errors are worded, made of the same structs as the messages.

The form of the table is described where it is read, in ``podkeeper.api.gojson.types``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from protogen.gobinary import GoField, GoType
from protogen.messages import UNLINKED, VALUES, message_name

#: Whose UnmarshalJSON is its own, beside the values that protobuf knows.
_OWN_READERS = ("JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")
_PACKAGES = {"apiserverinternal": "internal"}
_RAW = {"FieldsV1", "JSON", "RawExtension"}
#: What the types of no program tell of kube-aggregator's.
_UNLINKED_NAMES = {"type": "v1.APIServiceConditionType=string", "status": "v1.ConditionStatus=string"}
_UNLINKED_FORM = {"bool": "bool", "string": "string", "int32": "int32", "bytes": "[uint8", "Time": "Time"}


def table_text(structs: Mapping[str, GoType], packages: Collection[str]) -> str:
    """The whole table as it is written, one struct per line; ``packages`` are those that are served."""
    found = {name: _unlinked(name, fields) for name, fields in UNLINKED.items()}
    for go_name, struct in structs.items():
        name = _struct_name(go_name)
        if name and go_name not in VALUES and not name.endswith(_OWN_READERS):
            found[name] = _fields(struct)
    kept = {name: fields for name, fields in found.items() if name.rpartition(".")[0] in packages}
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(kept[name], separators=(',', ':'))}" for name in sorted(kept))
    return f"{{\n{lines}\n}}\n"


def _struct_name(go_name: str) -> str:
    package, slash, rest = message_name(go_name).partition("/")
    return f"{_PACKAGES.get(package, package)}{slash}{rest}"


def _fields(struct: GoType) -> dict[str, str]:
    """A struct's fields as JSON has them, in Go's order."""
    return dict(each for field in struct.fields if (each := _field(field)))


def _field(field: GoField) -> tuple[str, str] | None:
    name = field.tags.get("json", "").partition(",")[0]
    if name == "-":
        return None
    if field.embedded and not name:
        return f"={field.name}", _form(field.type)
    return name or field.name, _form(field.type)


def _form(type_: GoType) -> str:
    form, derived = _form_and_text(type_)
    return form if derived == type_.text else f"{type_.text}={form}"


def _form_and_text(type_: GoType) -> tuple[str, str]:
    """The form, and the text that its reader makes of it."""
    if type_.name in VALUES:
        return type_.name.rpartition(".")[2], type_.text
    if type_.kind in ("pointer", "slice", "map"):
        sign, before = {"pointer": ("*", "*"), "slice": ("[", "[]"), "map": ("{", "map[string]")}[type_.kind]
        return sign + _form(type_.member), before + type_.member.text
    if type_.kind == "struct":
        name = _struct_name(type_.name)
        if type_.text.endswith(_OWN_READERS):
            return type_.text.rpartition(".")[2], type_.text
        assert name, f"a field of type {type_}"
        return name, type_.text
    return type_.kind, type_.kind


def _unlinked(struct: str, fields: Mapping[str, str]) -> dict[str, str]:
    """A struct that is known by its message alone."""
    version = struct.partition("/")[2].partition(".")[0]
    embedded = {"=TypeMeta": "meta/v1.TypeMeta"} if struct.endswith((".APIService", ".APIServiceList")) else {}
    found = {name: _unlinked_form(text.lstrip("0123456789").replace("?", "")) for name, text in fields.items()}
    if struct.endswith("Condition"):
        found |= {name: text.replace("v1", version) for name, text in _UNLINKED_NAMES.items()}
    return embedded | found


def _unlinked_form(text: str) -> str:
    sign = text[:1] if text[:1] in "*[" else ""
    name = text.removeprefix(sign)
    return sign + _UNLINKED_FORM.get(name, name)
