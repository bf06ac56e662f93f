"""What server-side apply knows of a type: which parts merge, and which are owned as a whole.

``of_type(schema.for_kind("apps", "v1", "Deployment"))`` gives the node of a built-in kind, ``of_structural`` that of a
custom one. Types that refer to themselves are taken apart as far as a walk goes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any, Literal

from msgspec import Struct, field

from podkeeper.api import schema
from podkeeper.api.schema import Property, TypeSchema
from podkeeper.api.structural.schema import Schema

#: ``any``: nobody says what it is. Its maps merge, its lists are atomic.
Form = Literal["scalar", "struct", "map", "list", "any"]


#: At each place of a type.
_RESULTS_KEPT = 256


class Node(Struct, frozen=True, eq=False):
    """One place in a type.

    atomic: owned and replaced as a whole.
    keys, key_defaults: of a list that is a map; a list that is neither atomic nor has keys is a set.
    by_value: something that is always there for upstream's types, so that its absence is an empty one.
    omit_empty: a list or map that upstream's types leave out when it is empty, so that the two are one.
    always: a struct's fields that are structs by value.
    results: what was worked out of values here, by what it depends on of them: their content or their names.
    """

    form: Form
    atomic: bool = False
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    by_value: bool = False
    omit_empty: bool = False
    always: tuple[str, ...] = ()
    member: Node | None = None
    find: Callable[[str], Node | None] = lambda name: None
    results: dict[Hashable, Any] = field(default_factory=dict)

    def child(self, name: str) -> Node | None:
        """The node of a field or key; None for a field that a struct has not."""
        return self.find(name) if self.form == "struct" else self.member or self

    def known(self, key: Hashable) -> Any:
        """What ``remember`` was told of this key, None without."""
        return self.results.get(key)

    def remember(self, key: Hashable, result: Any) -> Any:
        """Keeps a result for a while, and returns it."""
        if len(self.results) >= _RESULTS_KEPT:
            self.results.clear()
        self.results[key] = result
        return result


SCALAR = Node("scalar")
ANY = Node("any")

_ARBITRARY = ("=RawExtension", "=JSON", "=FieldsV1", "=Patch")
#: Keys of list members that may be left out, as upstream's types declare.
_KEY_DEFAULTS = {"protocol": "TCP"}


def of_type(kind: TypeSchema) -> Node:
    """The node of objects of a built-in type."""
    return _struct(kind.name, kind.map_type == "atomic", False)


@cache
def _struct(name: str, atomic: bool, by_value: bool) -> Node:
    children: dict[str, Node] = {}

    def find(field_name: str) -> Node | None:
        found = children.get(field_name)
        if found is None and field_name in properties:
            found = children[field_name] = _of_property(properties[field_name], field_name in required)
        return found

    properties, required = schema.named(name).properties, schema.named(name).required
    always = tuple(wire for wire, place in properties.items() if place.form == "struct" and place.is_value)
    return Node("struct", atomic, by_value=by_value, always=always, find=find)


def _of_property(place: Property, required: bool = False) -> Node:
    if place.form == "scalar":
        return ANY if place.name in _ARBITRARY or place.name.startswith("=JSONSchemaProps") else SCALAR
    if place.form == "struct":
        atomic = (place.map_type or schema.named(place.name).map_type) == "atomic"
        return _struct(place.name, atomic, place.is_value)
    assert place.member is not None, "lists and maps have members"
    member = _of_property(place.member)
    if place.form == "map":
        atomic = place.map_type == "atomic"
        return Node("map", atomic, by_value=required, omit_empty=not required, member=member)
    return Node(
        "list",
        atomic=place.list_type not in ("map", "set"),
        keys=place.map_keys,
        key_defaults={key: value for key, value in _KEY_DEFAULTS.items() if key in place.map_keys},
        by_value=required,
        omit_empty=not required,
        member=member,
    )


def of_structural(root: Schema) -> Node:
    """The node of objects of a custom resource."""
    metadata = of_type(schema.named("meta/v1.ObjectMeta"))
    own = {"apiVersion": SCALAR, "kind": SCALAR, "metadata": metadata}
    spec = _of_schema(root)
    return Node("struct", find=lambda name: own.get(name) or spec.child(name))


def _of_schema(place: Schema) -> Node:
    if place.int_or_string:
        return SCALAR
    if place.type == "array":
        items = place.items
        return Node(
            "list",
            atomic=place.list_type not in ("map", "set"),
            keys=place.map_keys,
            key_defaults=_defaults(items, place.map_keys) if items is not None else {},
            member=_of_schema(items) if items is not None else ANY,
        )
    if place.type != "object":
        return SCALAR if place.type else ANY
    if place.values is not None and not place.properties:
        return Node("map", place.atomic_map, member=_of_schema(place.values))
    if not place.properties:
        return Node("any", place.atomic_map) if place.preserves else Node("struct", place.atomic_map)
    children = {name: _of_schema(each) for name, each in place.properties.items()}
    rest = ANY if place.preserves else _of_schema(place.values) if place.values is not None else None
    return Node("struct", place.atomic_map, find=lambda name: children.get(name, rest))


def _defaults(items: Schema, keys: tuple[str, ...]) -> Mapping[str, Any]:
    found = {key: items.properties[key] for key in keys if key in items.properties}
    return {key: each.tree["default"] for key, each in found.items() if each.has_default}
