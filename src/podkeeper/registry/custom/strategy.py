"""What is particular about objects of a custom resource: their schema, and what their definition switches on.

Source: Kubernetes reference, Custom Resources, "Status subresource"; apiextensions-apiserver's strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from podkeeper.api import structural
from podkeeper.api.errors import ApiError, Cause
from podkeeper.api.structural import Definition, Version
from podkeeper.api.warnings import finalizers
from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree

if TYPE_CHECKING:
    from podkeeper.api.catalogue import Resource
    from podkeeper.api.structural.rules import RuleBook


#: With such mistakes rules are not run: they take the schema for granted.
_BLOCKING = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
_UNCHECKED = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
    "<nil>",
)


class CustomStrategy(Strategy):
    """The rules of one version of a definition."""

    def __init__(self, definition: Definition, version: Version) -> None:
        super().__init__(Rules(generation=True, status=version.status, status_keeps_metadata=True))
        self._definition, self._version = definition, version

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Nothing new comes while the definition goes."""
        if self._definition.terminating:
            why = "create not allowed while custom resource definition is terminating"
            raise ApiError(405, "MethodNotAllowed", why)
        super().prepare_for_create(tree, origin)

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """Every change counts but those of metadata and, where it has a subresource of its own, of the status."""
        return self._counted(new) != self._counted(old)

    def _counted(self, obj: Any) -> Tree:
        content: Tree = obj.content
        if not self._version.status:
            return content
        return {name: value for name, value in content.items() if name != "status"}

    def mistakes(self, tree: Tree, old: Tree | None, subresource: str) -> Sequence[Cause]:
        """What the schema has against the object."""
        schema = self._version.schema
        found = structural.validate(tree, schema, old)
        if subresource != "status":
            found += structural.embedded_objects(tree, schema)
        found += structural.duplicates(tree, schema, old)
        if not schema.has_rules:
            return found
        if any(each.reason in _BLOCKING for each in found):
            return [*found, _UNCHECKED]
        return [*found, *self._rules.judge(tree, old)]

    def warnings(self, resource: Resource, new: Any, old: Any) -> Sequence[str]:
        """Those about finalizers."""
        return list(finalizers.of_custom_object(new, old))

    @cached_property
    def _rules(self) -> RuleBook:
        # Few definitions have rules, and the language is large.
        from podkeeper.api.structural.rules import RuleBook

        return RuleBook(self._version.schema)
