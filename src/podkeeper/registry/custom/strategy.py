"""What is particular about objects of a custom resource: their schema, and what their definition switches on.

Source: Kubernetes reference, Custom Resources, "Status subresource"; apiextensions-apiserver's strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api import structural
from podkeeper.api.errors import Cause
from podkeeper.api.structural import Version
from podkeeper.registry.strategies.base import Rules, Strategy, Tree


class CustomStrategy(Strategy):
    """The rules of one version of a definition."""

    def __init__(self, version: Version) -> None:
        super().__init__(Rules(generation=True, status=version.status, status_keeps_metadata=True))
        self._version = version

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
