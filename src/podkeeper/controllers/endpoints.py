"""Endpoints of services with selectors: the older form of endpoint slices, which many clients still read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.endpoint_subsets import subsets, truncated
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.controllers.replica_set import is_for_end_of_namespace
from podkeeper.controllers.service_pods import (
    HEADLESS,
    TRIGGER_TIME,
    is_headless,
    is_listed,
    selected,
    services_of,
    trigger_time,
)

MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


class EndpointsObjects:
    """Keys are services, each with an Endpoints object of its name."""

    name = "endpoint-controller"
    workers = 5

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._services, self._pods = tools.informer(v1.Service), tools.informer(v1.Pod)
        self._endpoints = tools.informer(v1.Endpoints)

    def watches(self) -> Sequence[Watch[Any]]:
        """Services, the pods they select, and our own objects, which others may have changed."""
        return (
            Watch(self._services, own_key),
            Watch(self._pods, lambda old, new: services_of(self._services.lister, old, new)),
            Watch(self._endpoints, _managed_key),
        )

    async def reconcile(self, key: Key) -> float | None:
        """Creates, updates, or deletes what belongs to a service that is gone."""
        service, present = self._services.lister.get(*key), self._endpoints.lister.get(*key)
        if service is None:
            if present is not None:
                await self._delete(present)
            return None
        if not service.spec.selector or service.spec.type == "ExternalName" or service.metadata.deletion_timestamp:
            return None
        early = bool(service.spec.publish_not_ready_addresses)
        pods = [pod for pod in selected(service, self._pods.lister) if is_listed(pod, terminating=early)]
        wanted = _wanted(service, pods, present)
        if wanted is not None:
            await self._write(service, key, wanted, new=present is None)
        return None

    async def _write(self, service: v1.Service, key: Key, wanted: v1.Endpoints, *, new: bool) -> None:
        client = self._tools.api.of(v1.Endpoints)
        try:
            await (client.create(wanted, key.namespace) if new else client.update(wanted))
        except ApiError as error:
            if is_for_end_of_namespace(error):
                return
            if error.code != 409:
                verb, reason = ("create", "FailedToCreateEndpoint") if new else ("update", "FailedToUpdateEndpoint")
                why = f"Failed to {verb} endpoint {key.namespace}/{key.name}: {error.message}"
                self._tools.recorder.event(service, "Warning", reason, why)
            raise

    async def _delete(self, present: v1.Endpoints) -> None:
        metadata = present.metadata
        try:
            await self._tools.api.of(v1.Endpoints).delete(metadata.name, metadata.namespace, uid=metadata.uid)
        except ApiError as error:
            if error.code != 404:
                raise


def _managed_key(old: v1.Endpoints | None, new: v1.Endpoints | None) -> Iterable[Key]:
    shown = new or old
    return own_key(old, new) if shown and shown.metadata.labels.get(MANAGED_BY) == MANAGER else ()


def _wanted(service: v1.Service, pods: Sequence[v1.Pod], present: v1.Endpoints | None) -> v1.Endpoints | None:
    """The object as it is to be written; None when it is right as it is."""
    listed = subsets(service, pods)
    cut = truncated(listed)
    labels = {key: value for key, value in service.metadata.labels.items() if key != HEADLESS}
    labels |= {MANAGED_BY: MANAGER} | ({HEADLESS: ""} if is_headless(service) else {})
    metadata = present.metadata if present else meta.ObjectMeta(name=service.metadata.name)
    marks = {OVER_CAPACITY: "truncated"} if cut is not None else {}
    others = {key: value for key, value in metadata.annotations.items() if key not in (OVER_CAPACITY, TRIGGER_TIME)}
    final = cut if cut is not None else listed
    said = (metadata.labels, metadata.annotations.get(OVER_CAPACITY))
    if present is not None and present.subsets == final and said == (labels, marks.get(OVER_CAPACITY)):
        return None
    annotations = {**others, **marks, TRIGGER_TIME: trigger_time(service, pods)}
    metadata = msgspec.structs.replace(metadata, labels=labels, annotations=annotations)
    return v1.Endpoints(metadata=metadata, subsets=final)
