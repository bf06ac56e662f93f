"""What is known beforehand about a value: its type, its fields, and how large it can get at most.

A Declaration is made from a structural schema (custom resources) or from the table of the built-in types. The sizes
bound the costs of expressions: a declared maximum counts, and else what fits into the largest request. Source:
k8s.io/apiserver/pkg/cel/common, SchemaDeclType, and the limits beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

from podkeeper.api import schema as builtin
from podkeeper.api.cel import types
from podkeeper.api.cel.escaping import escape
from podkeeper.api.cel.types import Type
from podkeeper.api.structural.schema import Schema

#: The largest request, in bytes.
MAX_REQUEST = 3 * 1024 * 1024
_MAX_TIME_TEXT = 32
_DATE_TEXT = 12

_NO_FIELDS: Mapping[str, Declaration] = {}


@dataclass(frozen=True, eq=False)
class Declaration:
    """``min_size`` is the least that a value takes in JSON, in bytes; ``max_elements`` the most members or characters
    (0 of what has none, None where nothing is known).

    ``fields`` are by the names that expressions use, ``wire`` gives the names that objects have. ``items`` declares the
    members of a list or the values of a map.
    """

    type: Type
    min_size: int = 1
    max_elements: int | None = 0
    fields: Mapping[str, Declaration] = field(default_factory=lambda: _NO_FIELDS)
    wire: Mapping[str, str] = field(default_factory=dict)
    items: Declaration | None = None
    keys: Declaration | None = None
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    format: str = ""
    #: Values are given as expressions compute with them, not as JSON.
    is_value: bool = False

    @cached_property
    def plain(self) -> bool:
        """Whether values are, as they stand in a tree, what expressions compute with."""
        if self.type.form == "optional":
            return False
        if self.items is not None:
            return self.items.plain and self.list_type not in ("set", "map")
        return self.is_value or self.type in (types.STRING, types.INT, types.BOOL, types.DYN, types.NULL)

    @cached_property
    def escaped(self) -> Mapping[str, str]:
        """The names that expressions use, by the names that objects have."""
        return {wire: name for name, wire in self.wire.items()}

    def field(self, name: str) -> Declaration | None:
        """The field of that name, as expressions write it."""
        return self.fields.get(name)


def of_type(given: Type) -> Declaration:
    """A value of which nothing but the type is known: it is taken as it stands."""
    return Declaration(given, max_elements=None, is_value=True)


def of_fields(name: str, fields: Mapping[str, Declaration]) -> Declaration:
    """An object with these fields, as expressions and trees alike name them."""
    return Declaration(types.object_of(name), 2, fields=fields, wire={each: each for each in fields})


def optional(declared: Declaration) -> Declaration:
    """A value that may be absent: None is, and anything else is an optional with that value."""
    return Declaration(types.optional_of(declared.type), 0, declared.max_elements, items=declared)


STRING = Declaration(types.STRING, min_size=2, max_elements=MAX_REQUEST - 2)


def of_structural(schema: Schema, root: bool = False, name: str = "object") -> Declaration | None:
    """The declaration of a place of a custom resource; None where expressions may not look.

    With ``root`` it is an object with apiVersion, kind and metadata, of which name and generateName can always be seen.
    """
    if schema.int_or_string:
        length = schema.tree.get("maxLength")
        return Declaration(types.DYN, 1, MAX_REQUEST - 2 if length is None else 4 * max(0, length))
    match schema.type:
        case "array":
            return _of_array(schema, name)
        case "object":
            return _of_object(schema, root, name)
        case "string":
            return _of_string(schema)
        case "boolean":
            return Declaration(types.BOOL, min_size=4)
        case "number":
            return Declaration(types.DOUBLE)
        case "integer":
            return Declaration(types.INT)
    return None


def _of_array(schema: Schema, name: str) -> Declaration | None:
    items = of_structural(schema.items, schema.items.embedded, f"{name}.@idx") if schema.items else None
    if items is None:
        return None
    most = schema.tree.get("maxItems")
    return Declaration(
        types.list_of(items.type),
        min_size=2,
        max_elements=(MAX_REQUEST - 2) // (items.min_size + 1) if most is None else max(0, most),
        items=items,
        list_type=schema.list_type,
        map_keys=schema.map_keys,
    )


def _of_object(schema: Schema, root: bool, name: str) -> Declaration | None:
    if schema.values is not None and not (root and schema.properties):
        values = of_structural(schema.values, schema.values.embedded, f"{name}.@elem")
        if values is None:
            return None
        most = schema.tree.get("maxProperties")
        most = (MAX_REQUEST - 2) // (values.min_size + 6) if most is None else max(0, most)
        return Declaration(types.map_of(types.STRING, values.type), 2, most, items=values, keys=STRING)
    fields: dict[str, Declaration] = {}
    wire: dict[str, str] = {}
    required = schema.tree.get("required") or ()
    least = 2
    for property_name, each in schema.properties.items():
        declared = of_structural(each, each.embedded, f"{name}.{property_name}")
        if declared is None:
            continue
        escaped = escape(property_name)
        if escaped is not None:
            fields[escaped], wire[escaped] = declared, property_name
        if property_name in required and not each.has_default:
            least += len(property_name) + declared.min_size + 4
    if root:
        fields, wire = _with_identity(fields, wire, name)
    return Declaration(types.object_of(name), least, fields=fields, wire=wire)


def _with_identity(
    fields: dict[str, Declaration], wire: dict[str, str], name: str
) -> tuple[dict[str, Declaration], dict[str, str]]:
    """The fields with those that every object has, where the schema does not say them all itself."""
    metadata = fields.get("metadata")
    names = metadata.fields if metadata is not None else {}
    if {"kind", "apiVersion"} <= fields.keys() and {"name", "generateName"} <= names.keys():
        return fields, wire
    seen = dict.fromkeys(("name", "generateName"), STRING)
    metadata = Declaration(types.object_of(f"{name}.metadata"), 2, fields=seen, wire={each: each for each in seen})
    added = {"kind": STRING, "apiVersion": STRING, "metadata": metadata}
    return {**fields, **added}, {**wire, **{each: each for each in added}}


def _of_string(schema: Schema) -> Declaration:
    tree = schema.tree
    length = tree.get("maxLength")
    match tree.get("format"):
        case "byte":
            return Declaration(types.BYTES, 2, MAX_REQUEST - 2 if length is None else max(0, length))
        case "duration":
            return Declaration(types.DURATION, 3, _MAX_TIME_TEXT)
        case "date":
            return Declaration(types.TIMESTAMP, _DATE_TEXT, _DATE_TEXT, format="date")
        case "date-time":
            return Declaration(types.TIMESTAMP, 21, _MAX_TIME_TEXT)
    if length is not None:
        return Declaration(types.STRING, 2, 4 * max(0, length))
    if tree.get("enum"):
        return Declaration(
            types.STRING, 2, max((len(each) for each in tree["enum"] if isinstance(each, str)), default=0)
        )
    return STRING


class _BuiltinFields(Mapping[str, Declaration]):
    """The fields of a built-in type, declared when they are asked for: types contain themselves."""

    def __init__(self, given: builtin.TypeSchema, wire: Mapping[str, str]) -> None:
        self._properties = given.properties
        self._wire = wire

    def __getitem__(self, name: str) -> Declaration:
        return _of_property(self._properties[self._wire[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._wire)

    def __len__(self) -> int:
        return len(self._wire)


@cache
def of_builtin(name: str) -> Declaration:
    """The declaration of a built-in type such as ``apps/v1.Deployment``. Raises KeyError."""
    given = builtin.named(name)
    wire = {escaped: each for each in given.properties if (escaped := escape(each)) is not None}
    return Declaration(types.object_of(given.full_name), 2, fields=_BuiltinFields(given, wire), wire=wire)


_SCALARS = {
    "string": STRING,
    "string:byte": Declaration(types.BYTES, 2, MAX_REQUEST - 2),
    "boolean": Declaration(types.BOOL, 4),
    "integer": Declaration(types.INT),
    "number": Declaration(types.DOUBLE),
    "=Time": Declaration(types.TIMESTAMP, 21, _MAX_TIME_TEXT),
    "=MicroTime": Declaration(types.TIMESTAMP, 21, _MAX_TIME_TEXT),
    "=Duration": STRING,
}
_ANYTHING = Declaration(types.DYN, 1, MAX_REQUEST - 2)


def _of_property(given: builtin.Property) -> Declaration:
    if given.form == "struct":
        return of_builtin(given.name)
    if given.form == "scalar":
        return _SCALARS.get(given.name) or _SCALARS.get(given.name.partition(":")[0], _ANYTHING)
    assert given.member is not None
    items = _of_property(given.member)
    if given.form == "map":
        most = (MAX_REQUEST - 2) // (items.min_size + 6)
        return Declaration(types.map_of(types.STRING, items.type), 2, most, items=items, keys=STRING)
    most = (MAX_REQUEST - 2) // (items.min_size + 1)
    listed = given.list_type or "atomic"
    return Declaration(types.list_of(items.type), 2, most, items=items, list_type=listed, map_keys=given.map_keys)
