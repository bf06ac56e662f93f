"""A custom object against its schema, with the causes that upstream gives, in its words.

Rules in CEL (``x-kubernetes-validations``), embedded objects and what is twice in a list are judged elsewhere.

Source: k8s.io/kube-openapi/pkg/validation and the messages of apiextensions-apiserver.
"""

from __future__ import annotations

import math
from typing import Any

from podkeeper.api.errors import Cause
from podkeeper.api.structural.correlation import MISSING, matching_items, same
from podkeeper.api.structural.formats import check_of
from podkeeper.api.structural.schema import Schema
from podkeeper.api.validation.fields import Found, joined, shown

#: What Go says of a value at the object's root.
_ROOT = "<nil>"


def validate(tree: Any, schema: Schema, old: Any = None, whole: bool = True) -> list[Cause]:
    """Everything that is wrong with an object, in the order in which it stands there.

    What is as it was in ``old``, the object that it replaces, may stay as it is, whatever the schema says by now.
    Without ``whole`` it is a part of an object, with no metadata of its own.
    """
    found = Found()
    _Walk(found).judge(tree, schema, "", MISSING if old is None else old, whole)
    return found


def type_name(value: Any) -> str:
    """The JSON type of a value as schemas name it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    names = {dict: "object", list: "array", str: "string", float: "number", type(None): "null"}
    return names[type(value)]


class _Walk:
    """One pass over an object."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def judge(self, value: Any, schema: Schema, at: str, old: Any = MISSING, whole: bool = False) -> None:
        """Judges a value and everything below it; ``whole``: it is an object with metadata of its own."""
        if (value is None and schema.nullable) or (old is not MISSING and same(value, old)):
            return
        if not self._has_type(value, schema, at):
            return
        self._enum(value, schema, at)
        if isinstance(value, str):
            self._string(value, schema, at)
        elif isinstance(value, dict):
            self._object(value, schema, at, old, whole or schema.embedded)
        elif isinstance(value, list):
            self._array(value, schema, at, old)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self._number(value, schema, at)
        self._combined(value, schema, at)

    def _invalid(self, at: str, value: Any, why: str) -> None:
        self._found.invalid(at or _ROOT, value, f"{at} in body {why}")

    def _has_type(self, value: Any, schema: Schema, at: str) -> bool:
        found = type_name(value)
        if schema.int_or_string:
            if found in ("integer", "string"):
                return True
            wanted = "integer,string"
        else:
            wanted = schema.type
            if not wanted or found == wanted or (wanted == "number" and found == "integer"):
                return True
            if wanted == "integer" and isinstance(value, float) and value.is_integer():
                return True
        text = f'Invalid value: "{found}": {at} in body must be of type {wanted}: "{found}"'
        self._found.append(Cause("FieldValueTypeInvalid", text, at or _ROOT))
        return False

    def _enum(self, value: Any, schema: Schema, at: str) -> None:
        allowed = schema.tree.get("enum")
        if allowed and not any(value == each and type_name(value) == type_name(each) for each in allowed):
            self._found.unsupported(at, value, [each if isinstance(each, str) else shown(each) for each in allowed])

    def _string(self, value: str, schema: Schema, at: str) -> None:
        tree = schema.tree
        longest, shortest, form = tree.get("maxLength"), tree.get("minLength"), tree.get("format")
        if longest is not None and len(value) > longest:
            self._found.too_long(at, longest)
        if shortest is not None and len(value) < shortest:
            self._invalid(at, value, f"should be at least {shortest} chars long")
        if schema.pattern is not None and not schema.pattern.search(value):
            self._invalid(at, value, f"should match '{tree['pattern']}'")
        check = check_of(form) if form else None
        if check is not None and not check(value):
            self._invalid(at, value, f"must be of type {form}: {shown(value)}")

    def _number(self, value: float, schema: Schema, at: str) -> None:
        tree = schema.tree
        most, least, factor = tree.get("maximum"), tree.get("minimum"), tree.get("multipleOf")
        if most is not None:
            open_end = bool(tree.get("exclusiveMaximum"))
            if value > most or (open_end and value == most):
                self._invalid(at, value, f"should be less than {'' if open_end else 'or equal to '}{_plain(most)}")
        if least is not None:
            open_end = bool(tree.get("exclusiveMinimum"))
            if value < least or (open_end and value == least):
                self._invalid(at, value, f"should be greater than {'' if open_end else 'or equal to '}{_plain(least)}")
        if factor and not _is_multiple(value, factor):
            self._invalid(at, value, f"should be a multiple of {_plain(factor)}")
        limit = {"int32": 1 << 31, "int64": 1 << 63}.get(tree.get("format", ""))
        if limit and schema.type == "integer" and not -limit <= value < limit:
            self._invalid(at, value, f"must be of type {tree['format']}: {shown(value)}")

    def _array(self, value: list[Any], schema: Schema, at: str, old: Any) -> None:
        most, least = schema.tree.get("maxItems"), schema.tree.get("minItems")
        if most is not None and len(value) > most:
            self._found.too_many(at, len(value), most)
        if least is not None and len(value) < least:
            self._invalid(at, len(value), f"should have at least {least} items")
        before = matching_items(schema, value, old)
        for index, item in enumerate(value):
            if schema.items is not None:
                self.judge(item, schema.items, f"{at}[{index}]", before[index])

    def _object(self, value: dict[str, Any], schema: Schema, at: str, old: Any, whole: bool) -> None:
        tree = schema.tree
        most, least = tree.get("maxProperties"), tree.get("minProperties")
        if most is not None and len(value) > most:
            self._found.too_many(at, len(value), most)
        if least is not None and len(value) < least:
            self._invalid(at, len(value), f"should have at least {least} properties")
        for name in tree.get("required") or ():
            if name not in value:
                self._found.required(joined(at, name))
        before = old if isinstance(old, dict) else {}
        for name, member in value.items():
            if whole and name in ("apiVersion", "kind", "metadata"):
                if name == "metadata" and name in schema.properties:
                    self.judge(member, schema.properties[name], joined(at, name))
                continue
            child = schema.child(name)
            if child is not None:
                self.judge(member, child, joined(at, name), before.get(name, MISSING))

    def _combined(self, value: Any, schema: Schema, at: str) -> None:
        quoted = f'"{at}"'
        if any(self._refuses(value, each, at) for each in schema.all_of):
            for each in schema.all_of:
                self.judge(value, each, at)
            self._found.invalid(at or _ROOT, _brief(value), f"{quoted} must validate all the schemas (allOf)")
        if schema.any_of and all(self._refuses(value, each, at) for each in schema.any_of):
            self._found.invalid(at or _ROOT, _brief(value), f"{quoted} must validate at least one schema (anyOf)")
        if schema.one_of:
            good = sum(not self._refuses(value, each, at) for each in schema.one_of)
            if good != 1:
                why = "Found none valid" if not good else f"Found {good} valid alternatives"
                text = f"{quoted} must validate one and only one schema (oneOf). {why}"
                self._found.invalid(at or _ROOT, _brief(value), text)
        if schema.not_ is not None and not self._refuses(value, schema.not_, at):
            self._found.invalid(at or _ROOT, _brief(value), f"{quoted} must not validate the schema (not)")

    def _refuses(self, value: Any, schema: Schema, at: str) -> bool:
        found = Found()
        _Walk(found).judge(value, schema, at)
        return bool(found)


def _brief(value: Any) -> Any:
    """What stands for a composite value in a message."""
    return value if not isinstance(value, dict | list) else ""


def _plain(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _is_multiple(value: float, factor: float) -> bool:
    quotient = value / factor
    return math.isfinite(quotient) and abs(quotient - round(quotient)) < 1e-9
