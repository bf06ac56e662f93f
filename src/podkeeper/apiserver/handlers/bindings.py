"""Writes to a pod that are no updates of it: binding it to a node, evicting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import received, responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.options import write_options
from podkeeper.foundation.http import Answer
from podkeeper.registry.verbs import Registry

Tree = dict[str, Any]

_BINDING = Resource(
    "", "v1", "bindings", "Binding", "binding", True, ("create",), type_name="podkeeper.api.core.v1:Binding"
)
_EVICTION = Resource(
    "policy", "v1", "evictions", "Eviction", "eviction", True, ("create",), type_name="podkeeper.api.policy.v1:Eviction"
)
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class PodWrites:
    """Handlers of pods/binding, bindings and pods/eviction."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group, resource and subresource."""
        return {
            ("", "pods", "binding"): self.bind,
            ("", "bindings", ""): self.bind,
            ("", "pods", "eviction"): self.evict,
        }

    async def bind(self, call: Call) -> Answer:
        """Names the node of a pod."""
        rendering = call.plain_rendering()  # 406 before anything is changed
        context = call.context(write_options(call.info, "CreateOptions"))
        tree = received.read_typed(call.request, _BINDING, context)
        name = call.info.name or (tree.get("metadata") or {}).get("name", "")
        await self._registry.bind_pod(context, call.info.namespace, name, tree)
        return responses.tree(_SUCCESS, rendering, 201, responses.warnings(context.warnings))

    async def evict(self, call: Call) -> Answer:
        """Deletes a pod as far as its disruption budgets allow."""
        rendering = call.plain_rendering()  # 406 before anything is changed
        context = call.context(write_options(call.info, "CreateOptions"))
        tree = received.read_typed(call.request, _EVICTION, context)
        await self._registry.evict_pod(context, call.info.namespace, call.info.name, tree)
        return responses.tree(_SUCCESS, rendering, 201, responses.warnings(context.warnings))
