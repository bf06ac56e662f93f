"""componentstatuses (deprecated since 1.19, still listed): the health of the store, as of the server that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from podkeeper.api import resources
from podkeeper.api.errors import not_found
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.handlers.rendering import Renderer
from podkeeper.apiserver.health import Check
from podkeeper.foundation.http import Answer


class _Component(Struct, frozen=True):
    name: str
    wrong: str

    def tree(self) -> dict[str, Any]:
        """The ComponentStatus."""
        wrong = self.wrong
        condition = {"type": "Healthy", "status": "False" if wrong else "True", "message": wrong or "ok"}
        return {
            "kind": "ComponentStatus",
            "apiVersion": "v1",
            "metadata": {"name": self.name},
            "conditions": [condition],
        }


class ComponentStatuses:
    """``checks`` are by component name; a check returns what is wrong."""

    def __init__(self, checks: Mapping[str, Check], renderer: Renderer) -> None:
        self._checks = checks
        self._renderer = renderer
        row = resources.lookup("", "v1", "componentstatuses")
        assert row is not None
        self._row = row

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group and resource."""
        return {("", "componentstatuses", ""): self.handle}

    async def handle(self, call: Call) -> Answer:
        """One component, or all."""
        name, rendering = call.info.name, call.rendering()
        asked = [each for each in self._checks if call.info.verb == "list" or each == name]
        chosen = [_Component(each, await self._checks[each]()) for each in asked]
        if not chosen:
            raise not_found("componentstatuses", "", name)
        if rendering.transform == "Table":
            tree = self._renderer.table(call, self._row, chosen, {}, rendering.version)
        elif call.info.verb == "list":
            items = [each.tree() for each in chosen]
            tree = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
        else:
            tree = chosen[0].tree()
        return responses.tree(tree, rendering, headers=responses.warnings([self._row.deprecation]))
