"""Types as JSON schemas with the x-kubernetes extensions, in the dialect of either OpenAPI version."""

from __future__ import annotations

from typing import Any

from podkeeper.api import schema
from podkeeper.api.openapi.descriptions import Descriptions
from podkeeper.api.schema import Property, TypeSchema

Tree = dict[str, Any]

V2_PREFIX = "#/definitions/"
V3_PREFIX = "#/components/schemas/"


class Schemas:
    """Collects the schemas of everything that was referred to. ``prefix`` tells where a document keeps them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._done: dict[str, Tree] = {}
        self._pending: list[TypeSchema] = []
        self._descriptions = Descriptions()
        self._scalars = {name.rpartition(".")[2]: name for name in schema.scalar_definitions()}

    def reference(self, kind: tuple[str, str, str]) -> Tree | None:
        """A reference to the type of a kind; None for a kind without one."""
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

    def _refer(self, found: TypeSchema) -> Tree:
        if found.full_name not in self._done:
            self._done[found.full_name] = {}
            self._pending.append(found)
        return {"$ref": self._prefix + found.full_name}

    def _object(self, found: TypeSchema) -> Tree:
        tree: Tree = _described({"type": "object"}, self._descriptions.of_type(found))
        if found.properties:
            tree["properties"] = {
                name: self._property(each, self._descriptions.of_field(found, name))
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

    def _property(self, value: Property, description: str) -> Tree:
        tree = self._shape(value)
        beside = {
            "description": description,
            "x-kubernetes-list-type": value.list_type,
            "x-kubernetes-list-map-keys": list(value.map_keys),
            "x-kubernetes-map-type": value.map_type,
            "x-kubernetes-patch-merge-key": value.merge_key,
            "x-kubernetes-patch-strategy": ",".join(value.strategies),
        }
        present = {name: text for name, text in beside.items() if text}
        if "$ref" in tree and self._prefix == V3_PREFIX and (value.is_value or present):
            tree = {"allOf": [tree]} | ({"default": {}} if value.is_value else {})
        return tree | present

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
        return self._shape(value.member)

    def _scalar(self, name: str) -> Tree:
        if name.startswith("="):
            return self._refer_to_scalar(name[1:])
        kind, _, form = name.partition(":")
        return {"type": kind, "format": form} if form else {"type": kind}

    def _refer_to_scalar(self, name: str) -> Tree:
        full = self._scalars[name]
        if full not in self._done:
            self._done[full] = _described(dict(schema.scalar_definitions()[full]), self._descriptions.of_scalar(name))
        return {"$ref": self._prefix + full}


def _described(tree: Tree, description: str) -> Tree:
    return {"description": description} | tree if description else tree


def _meta(kind: str) -> TypeSchema | None:
    try:
        return schema.named(f"meta/v1.{kind}")
    except KeyError:
        return None
