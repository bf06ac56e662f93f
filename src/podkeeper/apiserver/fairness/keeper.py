"""Keeps the objects of priority and fairness: follows them for the gate, puts back what a cluster must have, and tells
in each flow schema's status whether its level exists.

changed --> the gate is configured --> plan --> writes --> (changed again, until there is nothing to write)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError
from podkeeper.apiserver.fairness import suggested
from podkeeper.apiserver.fairness.admission import FairAdmission
from podkeeper.apiserver.live import LiveObjects
from podkeeper.foundation.clock import Clock
from podkeeper.registry.verbs import RequestContext, WatchEvent

log = logging.getLogger(__name__)

GROUP = "flowcontrol.apiserver.k8s.io"
_SCHEMAS, _LEVELS = "flowschemas", "prioritylevelconfigurations"
_PRODUCER, _CONSUMER = "api-priority-and-fairness-config-producer-v1", "api-priority-and-fairness-config-consumer-v1"

Tree = dict[str, Any]
Trees = Mapping[str, Tree]


class Write(Struct, frozen=True):
    """One object to be created, updated, or (``status``) to be told something."""

    resource: str
    tree: Tree
    create: bool = False
    status: bool = False


class FairnessKeeper:
    """``follow`` first, then ``run`` until cancelled. A server that does not serve the group keeps the defaults."""

    def __init__(self, live: LiveObjects, gate: FairAdmission, clock: Clock, context: RequestContext) -> None:
        self._live, self._gate, self._clock, self._context = live, gate, clock, context
        self._objects: dict[str, dict[str, Tree]] = {_SCHEMAS: {}, _LEVELS: {}}
        self._changed = asyncio.Event()
        self._serves = live.registry.verbs(GROUP, "v1", _LEVELS) is not None

    async def follow(self) -> None:
        """Configures the gate by the objects there are, makes those that are missing, and stays current."""
        if not self._serves:
            return
        for resource in (_LEVELS, _SCHEMAS):
            await self._live.follow(GROUP, resource, lambda events, of=resource: self._take(of, events))  # type: ignore[misc]
        self._configure()
        await self._write_all()

    async def run(self) -> None:
        """Answers every change."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._write_all()

    def _take(self, resource: str, events: Sequence[WatchEvent]) -> None:
        objects = self._objects[resource]
        for event in events:
            if event.item is None:
                continue
            if event.type == "DELETED":
                objects.pop(event.item.name, None)
            else:
                objects[event.item.name] = event.item.tree()
        self._configure()
        self._changed.set()

    def _configure(self) -> None:
        self._gate.configure(self._objects[_SCHEMAS], self._objects[_LEVELS])

    async def _write_all(self) -> None:
        writes = plan(self._objects[_SCHEMAS], self._objects[_LEVELS], timestamps.format_time(self._clock.time()))
        async with asyncio.TaskGroup() as tasks:
            for write in writes:
                tasks.create_task(self._write(write))

    async def _write(self, write: Write) -> None:
        verbs = self._live.verbs(GROUP, write.resource)
        context = replace(self._context, field_manager=_CONSUMER if write.status else _PRODUCER, warnings=[])
        name = write.tree["metadata"]["name"]
        try:
            if write.create:
                await verbs.create(context, "", write.tree)
            else:
                await verbs.update(context, "", name, write.tree, "status" if write.status else "")
        except ApiError as error:
            # Someone else wrote: that change comes by as an event, and the plan is made anew.
            log.info("%s %s was not written: %s", write.resource, name, error)


def plan(schemas: Trees, levels: Trees, now: str) -> list[Write]:
    """What is to be written so that everything is as it must be."""
    writes = _upkeep(_LEVELS, levels, suggested.priority_levels())
    writes += _upkeep(_SCHEMAS, schemas, suggested.flow_schemas())
    being_written = {write.tree["metadata"]["name"] for write in writes if write.resource == _SCHEMAS}
    for name, schema in schemas.items():
        told = _told(schema, levels, now)
        if told is not None and name not in being_written:
            writes.append(Write(_SCHEMAS, told, status=True))
    return writes


def _upkeep(resource: str, present: Trees, wanted: Iterable[Tree]) -> list[Write]:
    writes = []
    for tree in wanted:
        name = tree["metadata"]["name"]
        found = present.get(name)
        if found is None:
            writes.append(Write(resource, tree, create=True))
        elif found.get("spec") != tree["spec"] and (name in suggested.MANDATORY or _is_ours(found)):
            writes.append(Write(resource, {**_copy(found), "spec": tree["spec"]}))
    return writes


def _is_ours(tree: Tree) -> bool:
    """The server may change the spec: the annotation says so, or nobody has changed it yet."""
    metadata = tree["metadata"]
    said = (metadata.get("annotations") or {}).get(suggested.AUTO_UPDATE)
    return said == "true" if said in ("true", "false") else bool(metadata.get("generation") == 1)


def _told(schema: Tree, levels: Trees, now: str) -> Tree | None:
    """The schema with its condition Dangling as it is; None where it says so already."""
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    text = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    condition = (
        {"type": "Dangling", "status": "False", "reason": "Found", "message": f"{text} and it exists"}
        if level in levels
        else {
            "type": "Dangling",
            "status": "True",
            "reason": "NotFound",
            "message": f"{text} but there is no such object",
        }
    )
    conditions = (schema.get("status") or {}).get("conditions") or []
    present: Tree = next((each for each in conditions if each.get("type") == "Dangling"), {})
    if all(present.get(key) == value for key, value in condition.items()):
        return None
    same = present.get("status") == condition["status"]
    condition["lastTransitionTime"] = present.get("lastTransitionTime", now) if same else now
    others = [each for each in conditions if each.get("type") != "Dangling"]
    return {**_copy(schema), "status": {"conditions": [*others, condition]}}


def _copy(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree
