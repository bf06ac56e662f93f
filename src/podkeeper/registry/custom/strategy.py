"""What is particular about objects of a custom resource: their schema, and what their definition switches on.

Source: Kubernetes reference, Custom Resources, "Status subresource"; apiextensions-apiserver's strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api import structural
from podkeeper.api.errors import ApiError, Cause
from podkeeper.api.structural import Definition, Version
from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree


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
        return structural.validate(tree, self._version.schema)
