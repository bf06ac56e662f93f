"""componentstatuses (deprecated since 1.19, still listed): the health of the store, as of the server that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.api.errors import not_found
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.health import Check
from podkeeper.foundation.http import Answer

_WARNING = ("v1 ComponentStatus is deprecated in v1.19+",)


class ComponentStatuses:
    """``checks`` are by component name; a check returns what is wrong."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group and resource."""
        return {("", "componentstatuses", ""): self.handle}

    async def handle(self, call: Call) -> Answer:
        """One component, or all."""
        warnings = responses.warnings(_WARNING)
        name = call.info.name
        if call.info.verb == "list":
            items = [_status(each, check) for each, check in self._checks.items()]
            tree = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
            return responses.tree(tree, call.rendering(), headers=warnings)
        if name not in self._checks:
            raise not_found("componentstatuses", "", name)
        tree = {"kind": "ComponentStatus", "apiVersion": "v1", **_status(name, self._checks[name])}
        return responses.tree(tree, call.rendering(), headers=warnings)


def _status(name: str, check: Check) -> dict[str, Any]:
    wrong = check()
    condition: dict[str, str] = {"type": "Healthy", "status": "False" if wrong else "True", "message": wrong or "ok"}
    return {"metadata": {"name": name}, "conditions": [condition]}
