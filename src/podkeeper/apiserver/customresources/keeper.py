"""Looks after definitions of custom resources.

    new or changed -> names accepted, Established     (then the registry serves them)
    being deleted  -> its objects are deleted, then its finalizer goes

Each definition is worked on in order of its changes; nothing is polled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError
from podkeeper.apiserver.customresources import approval, naming
from podkeeper.apiserver.customresources.conversion import WebhookConverter
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.streaming.service_endpoints import EndpointResolver
from podkeeper.apiserver.webhooks.client import WebhookClient
from podkeeper.foundation.clock import Clock
from podkeeper.registry.strategies.apiextensions.customresourcedefinition import CLEANUP_FINALIZER
from podkeeper.registry.verbs import DeleteOptions, ListOptions, PatchType, RequestContext, ResourceVerbs, WatchEvent

log = logging.getLogger(__name__)

Tree = dict[str, Any]

GROUP, RESOURCE = "apiextensions.k8s.io", "customresourcedefinitions"

#: Reasons and messages of the condition Terminating.
_UNDER_WAY = "InstanceDeletionInProgress", "CustomResource deletion is in progress"
_DONE = "InstanceDeletionCompleted", "removed all instances"


class DefinitionKeeper:
    """Works while ``run`` runs."""

    def __init__(self, live: LiveObjects, clock: Clock, context: RequestContext) -> None:
        self._live, self._clock, self._context = live, clock, context
        self._definitions: dict[str, Tree] = {}
        self._dirty: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._clearing: set[str] = set()
        self._webhooks = WebhookClient(EndpointResolver(live))
        live.registry.connect_converter(WebhookConverter(self._webhooks))

    async def run(self) -> None:
        """Until cancelled; at once over where definitions are not served."""
        if self._live.registry.verbs(GROUP, "v1", RESOURCE) is None:
            return
        await self._live.follow(GROUP, RESOURCE, self._take)
        try:
            await self._keep_all()
        finally:
            self._webhooks.close()

    async def _keep_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._dirty:
                    name = next(iter(self._dirty))
                    del self._dirty[name]
                    await self._keep(name, tasks)

    def _take(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is None:
                continue
            name = event.item.name
            if event.type == "DELETED":
                gone = self._definitions.pop(name, None)
                # Somebody may have waited for its names.
                self._mark(*(each for each in self._definitions if gone and _group(each) == _group(name)))
            else:
                self._definitions[name] = event.item.tree()
                self._mark(name)

    def _mark(self, *names: str) -> None:
        if names:
            self._dirty |= dict.fromkeys(names)
            self._changed.set()

    async def _keep(self, name: str, tasks: asyncio.TaskGroup) -> None:
        tree = self._definitions.get(name)
        if tree is None:
            return
        if tree["metadata"].get("deletionTimestamp"):
            if CLEANUP_FINALIZER in (tree["metadata"].get("finalizers") or ()) and name not in self._clearing:
                self._clearing.add(name)
                tasks.create_task(self._clear(tree))
            return
        others = [each for other, each in self._definitions.items() if other != name and _group(other) == _group(name)]
        now = timestamps.format_time(self._clock.time())
        status = approval.with_condition(naming.status_of(tree, naming.taken_by(others), now), tree, now)
        if status != tree.get("status"):
            await self._write(name, {"status": status}, "status")

    async def _clear(self, tree: Tree) -> None:
        """Deletes a definition's objects and waits until the last is gone."""
        name = tree["metadata"]["name"]
        try:
            now = timestamps.format_time(self._clock.time())
            await self._write(name, {"status": _with_terminating(tree, "True", *_UNDER_WAY, now)}, "status")
            verbs = self._objects(tree)
            if verbs is not None:
                await self._delete_all(verbs)
            others = [each for each in tree["metadata"]["finalizers"] if each != CLEANUP_FINALIZER]
            now = timestamps.format_time(self._clock.time())
            await self._write(name, {"status": _with_terminating(tree, "False", *_DONE, now)}, "status")
            await self._write(name, {"metadata": {"finalizers": others or None}})
        finally:
            self._clearing.discard(name)

    def _objects(self, tree: Tree) -> ResourceVerbs | None:
        """In the storage version if that is served: it needs nobody to convert."""
        spec = tree["spec"]
        for version in sorted(spec["versions"], key=lambda each: not each.get("storage")):
            verbs = self._live.registry.verbs(spec["group"], version["name"], spec["names"]["plural"])
            if verbs is not None:
                return verbs
        return None

    async def _delete_all(self, verbs: ResourceVerbs) -> None:
        gone = asyncio.Event()

        def note(events: Sequence[WatchEvent]) -> None:
            if any(event.type == "DELETED" for event in events):
                gone.set()

        watch = await verbs.watch("", ListOptions(), note, gone.set)
        try:
            while True:
                await verbs.delete_collection(self._context, "", ListOptions(), DeleteOptions())
                if not (await verbs.list("", ListOptions())).items:
                    return
                await gone.wait()
                gone.clear()
        finally:
            watch.stop()

    async def _write(self, name: str, patch: Tree, subresource: str = "") -> None:
        verbs = self._live.verbs(GROUP, RESOURCE)
        try:
            await verbs.patch(self._context, "", name, patch, PatchType.MERGE, subresource)
        except ApiError as error:
            if error.code not in (404, 409):  # gone, or changed: its next change comes as an event
                log.warning("cannot write the state of definition %s: %s", name, error)


def _group(name: str) -> str:
    return name.partition(".")[2]


def _with_terminating(tree: Tree, status: str, reason: str, message: str, now: str) -> Tree:
    others = [each for each in (tree.get("status") or {}).get("conditions") or () if each["type"] != "Terminating"]
    condition = {
        "type": "Terminating",
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    return {"conditions": [*others, condition]}
