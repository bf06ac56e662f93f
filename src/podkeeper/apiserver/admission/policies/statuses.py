"""Keeps the status of ValidatingAdmissionPolicies: which generation has been looked at, and what was found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import PatchType, RequestContext, WatchEvent

log = logging.getLogger(__name__)

GROUP, RESOURCE = "admissionregistration.k8s.io", "validatingadmissionpolicies"


class PolicyStatuses:
    """Works while ``run`` runs. Looks only at policies that have changed."""

    def __init__(self, live: LiveObjects, context: RequestContext) -> None:
        self._live, self._context = live, context
        self._dirty: dict[str, Mapping[str, Any]] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; at once over where policies are not served."""
        if self._live.registry.verbs(GROUP, "v1", RESOURCE) is None:
            return
        await self._live.follow(GROUP, RESOURCE, self._take)
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._dirty:
                name, tree = self._dirty.popitem()
                await self._keep(name, tree)

    def _take(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is None:
                continue
            self._dirty.pop(event.item.name, None)
            tree = event.item.tree()
            generation = tree["metadata"].get("generation")
            seen = (tree.get("status") or {}).get("observedGeneration")
            if event.type != "DELETED" and generation != seen:
                self._dirty[event.item.name] = tree
        self._changed.set()

    async def _keep(self, name: str, tree: Mapping[str, Any]) -> None:
        from podkeeper.apiserver.admission.policies import typechecking  # with the first policy

        found = typechecking.warnings(tree.get("spec") or {}, self._live)
        status = {
            "observedGeneration": tree["metadata"].get("generation"),
            "typeChecking": {"expressionWarnings": found} if found else {},
        }
        verbs = self._live.verbs(GROUP, RESOURCE)
        try:
            await verbs.patch(self._context, "", name, {"status": status}, PatchType.MERGE, "status")
        except ApiError as error:
            if error.code not in (404, 409):  # gone, or changed: its next change comes as an event
                log.warning("cannot write the status of policy %s: %s", name, error)
