"""Keeps the status of quotas: their limits as they are in force, and what is used of them.

Woken by changes of quotas and of the objects that quotas limit; namespaces without quotas cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.quota.ledger import Ledger, rows_for
from podkeeper.foundation.clock import Clock
from podkeeper.registry.verbs import ListOptions, RequestContext, Watch, WatchEvent

log = logging.getLogger(__name__)

#: Seconds in which changes are gathered before they are counted.
GATHER = 0.2


class QuotaKeeper:
    """Writes statuses while ``run`` runs."""

    def __init__(self, live: LiveObjects, clock: Clock, context: RequestContext) -> None:
        self._live, self._clock, self._context = live, clock, context
        self._ledger = Ledger(live, clock)
        self._quotas: dict[tuple[str, str], dict[str, Any]] = {}
        self._watched: dict[tuple[str, str], Watch] = {}
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        await self._live.follow("", "resourcequotas", self._take_quotas)
        while True:
            await self._changed.wait()
            await self._clock.sleep(GATHER)
            self._changed.clear()
            namespaces, self._dirty = self._dirty, set()
            for namespace, name in list(self._quotas):
                if namespace in namespaces:
                    await self._keep(namespace, name)

    async def _keep(self, namespace: str, name: str) -> None:
        quota = self._quotas.get((namespace, name))
        if quota is None:
            return
        hard = (quota.get("spec") or {}).get("hard") or {}
        used: dict[str, str] = {}
        for row in rows_for(hard, self._live.registry.resources().values()):
            await self._watch(row)
            items = await self._ledger.items(row, namespace)
            amounts = self._ledger.used(quota, row, namespace, items)
            used |= {each: str(amounts[each]) for each in hard if each in amounts}
        status = {"hard": dict(hard), "used": {each: used.get(each, str(Quantity(0))) for each in hard}}
        if status != (quota.get("status") or {}):
            await self._write(quota, status)

    async def _write(self, quota: Mapping[str, Any], status: dict[str, Any]) -> None:
        metadata = quota["metadata"]
        tree = {**quota, "metadata": dict(metadata), "status": status}
        verbs = self._live.verbs("", "resourcequotas")
        try:
            await verbs.update(self._context, metadata["namespace"], metadata["name"], tree, "status")
        except ApiError as error:
            if error.code not in (404, 409):  # those come back with the quota's own event
                log.warning("cannot update the status of a quota: %s", error)

    async def _watch(self, row: Resource) -> None:
        key = (row.group, row.name)
        verbs = self._live.registry.verbs(row.group, row.version, row.name)
        if key not in self._watched and verbs is not None:
            self._watched[key] = await verbs.watch("", ListOptions(), self._take_objects, partial(self._forget, key))

    def _forget(self, key: tuple[str, str]) -> None:
        """A watch has ended: with the store, or with the definition of its custom resource."""
        self._watched.pop(key, None)

    def _take_quotas(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is None:
                continue
            key = (event.item.namespace, event.item.name)
            if event.type == "DELETED":
                self._quotas.pop(key, None)
            else:
                self._quotas[key] = event.item.tree()
                self._mark(event.item.namespace)

    def _take_objects(self, events: Sequence[WatchEvent]) -> None:
        limited = {namespace for namespace, _ in self._quotas}
        for event in events:
            if event.item is not None and event.item.namespace in limited:
                self._mark(event.item.namespace)

    def _mark(self, namespace: str) -> None:
        self._dirty.add(namespace)
        self._changed.set()
