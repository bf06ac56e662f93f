"""Types as JSON schemas with the x-kubernetes extensions, in the dialect of either OpenAPI version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from podkeeper.api import schema
from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi import custom
from podkeeper.api.openapi.descriptions import Descriptions
from podkeeper.api.schema import Property, TypeSchema

Tree = dict[str, Any]

V2_PREFIX = "#/definitions/"
V3_PREFIX = "#/components/schemas/"

#: Scalars that version 3 tells all types of; version 2 cannot.
_ONE_OF = {"Quantity": ("string", "number"), "IntOrString": ("integer", "string")}
_ZEROS: Mapping[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}


class Schemas:
    """Collects the schemas of everything that was referred to. ``prefix`` tells where a document keeps them;
    ``resources`` are those that the document is about, of which the custom ones are looked up here."""

    def __init__(self, prefix: str, resources: Iterable[Resource] = ()) -> None:
        self._prefix, self._is_third = prefix, prefix == V3_PREFIX
        self._done: dict[str, Tree] = {}
        self._pending: list[TypeSchema] = []
        self._custom: dict[tuple[str, str, str], tuple[str, Callable[[], Tree]]] = {}
        for row in resources:
            if row.schema is not None:
                self._add_custom(row)
        self._descriptions = Descriptions()
        self._scalars = {name.rpartition(".")[2]: name for name in schema.scalar_definitions()}

    def reference(self, kind: tuple[str, str, str]) -> Tree | None:
        """A reference to the type of a kind; None for a kind without one."""
        if kind in self._custom:
            name, build = self._custom[kind]
            if name not in self._done:
                self._done[name] = {}
                self._done[name] = build()
            return {"$ref": self._prefix + name}
        found = schema.for_kind(*kind) or _meta(kind[2])
        if found:
            return self._refer(found)
        return self._refer_to_scalar(kind[2]) if kind[2] in self._scalars else None

    def collect(self) -> dict[str, Tree]:
        """Every schema that is needed, by full name."""
        while self._pending:
            found = self._pending.pop()
            self._done[found.full_name] = self._object(found)
        return dict(sorted(self._done.items()))

    def _add_custom(self, row: Resource) -> None:
        own, listed = (row.group, row.version, row.kind), (row.group, row.version, row.list_kind)

        def build_object() -> Tree:
            return custom.object_schema(row, self._member_of_all, self._is_third)

        def build_list() -> Tree:
            items = self.reference(own)
            assert items is not None, "it is custom"
            metadata = self._described_reference("ListMeta", "metadata")
            return custom.list_schema(row, items, self._member_of_all, metadata)

        self._custom[own] = custom.full_name(row, row.kind), build_object
        self._custom[listed] = custom.full_name(row, row.list_kind), build_list

    def _member_of_all(self, name: str) -> Tree:
        """What every object has: apiVersion, kind or metadata."""
        if name == "metadata":
            return self._described_reference("ObjectMeta", name)
        return _described({"type": "string"}, self._descriptions.of_any_object(name))

    def _described_reference(self, kind: str, member: str) -> Tree:
        reference = self._refer(schema.named(f"meta/v1.{kind}"))
        return self._beside(reference, {"description": self._descriptions.of_any_object(member)})

    def _refer(self, found: TypeSchema) -> Tree:
        if found.full_name not in self._done:
            self._done[found.full_name] = {}
            self._pending.append(found)
        return {"$ref": self._prefix + found.full_name}

    def _object(self, found: TypeSchema) -> Tree:
        tree: Tree = _described({"type": "object"}, self._descriptions.of_type(found))
        if found.properties:
            tree["properties"] = {
                name: self._property(each, self._descriptions.of_field(found, name), name in found.required)
                for name, each in found.properties.items()
            }
        if found.required:
            tree["required"] = list(found.required)
        if found.kinds:
            rows = [{"group": group, "kind": kind, "version": version} for group, version, kind in found.kinds]
            tree["x-kubernetes-group-version-kind"] = rows
        if found.map_type:
            tree["x-kubernetes-map-type"] = found.map_type
        if found.unions:
            tree["x-kubernetes-unions"] = list(found.unions)
        return tree

    def _property(self, value: Property, description: str, is_required: bool) -> Tree:
        beside = {
            "description": description,
            "x-kubernetes-list-type": value.list_type,
            "x-kubernetes-list-map-keys": list(value.map_keys),
            "x-kubernetes-map-type": value.map_type,
            "x-kubernetes-patch-merge-key": value.merge_key,
            "x-kubernetes-patch-strategy": ",".join(value.strategies),
        }
        default = self._default(value) if value.is_value or is_required else {}
        return self._beside(self._shape(value), default | {name: text for name, text in beside.items() if text})

    def _shape(self, value: Property) -> Tree:
        if value.form == "list":
            return {"type": "array", "items": self._member(value)}
        if value.form == "map":
            return {"type": "object", "additionalProperties": self._member(value)}
        if value.form == "struct":
            return self._refer(schema.named(value.name))
        return self._scalar(value.name)

    def _member(self, value: Property) -> Tree:
        assert value.member is not None, "lists and maps have members"
        return self._beside(self._shape(value.member), self._default(value.member))

    def _default(self, value: Property) -> Tree:
        """What Go has for a value that is not given; only version 3 tells it, and not for lists, maps and times."""
        if not self._is_third or value.form not in ("struct", "scalar"):
            return {}
        zero = {} if value.form == "struct" else _ZEROS.get(value.name.partition(":")[0])
        return {} if zero is None or value.name.endswith(":byte") else {"default": zero}

    def _beside(self, tree: Tree, more: Tree) -> Tree:
        """Version 3 lets nothing stand beside a reference, which goes into allOf then."""
        if more and "$ref" in tree and self._is_third:
            return {"allOf": [tree]} | more
        return tree | more

    def _scalar(self, name: str) -> Tree:
        if name.startswith("="):
            return self._refer_to_scalar(name[1:])
        kind, _, form = name.partition(":")
        return {"type": kind, "format": form} if form else {"type": kind}

    def _refer_to_scalar(self, name: str) -> Tree:
        full = self._scalars[name]
        if full not in self._done:
            tree = dict(schema.scalar_definitions()[full])
            if self._is_third and name in _ONE_OF:
                del tree["type"]
                tree["oneOf"] = [{"type": each} for each in _ONE_OF[name]]
            self._done[full] = _described(tree, self._descriptions.of_scalar(name))
        return {"$ref": self._prefix + full}


def _described(tree: Tree, description: str) -> Tree:
    return {"description": description} | tree if description else tree


def _meta(kind: str) -> TypeSchema | None:
    try:
        return schema.named(f"meta/v1.{kind}")
    except KeyError:
        return None
