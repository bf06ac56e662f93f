"""Carries out a plan for endpoint slices, and remembers what of it the local copy does not show yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podkeeper.api.discovery import v1 as discovery
from podkeeper.api.errors import ApiError
from podkeeper.client.informer import Informer
from podkeeper.controllers.expectations import Expectations
from podkeeper.controllers.framework import Key, Tools
from podkeeper.controllers.slice_packing import Plan

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class SliceWriter:
    """The slices that one controller manages, by the service that they belong to."""

    def __init__(self, tools: Tools, manager: str) -> None:
        self._tools, self.manager = tools, manager
        self.informer: Informer[discovery.EndpointSlice] = tools.informer(discovery.EndpointSlice)
        self._index = f"{manager} service"
        self.informer.add_index(self._index, lambda each: [_file(key) for key in self._services(each)])
        self._expectations = Expectations(tools.clock)

    def of_service(self, key: Key) -> Sequence[discovery.EndpointSlice]:
        """The present slices."""
        return self.informer.lister.by_index(self._index, _file(key))

    def changed(self, old: discovery.EndpointSlice | None, new: discovery.EndpointSlice | None) -> Iterable[Key]:
        """The mapper of changes of slices to services."""
        keys = {key for each in (old, new) if each is not None for key in self._services(each)}
        for key in keys:
            if new is None or new.metadata.deletion_timestamp:
                self._expectations.went(key, new.metadata.uid if new else old.metadata.uid if old else "")
            else:
                self._expectations.appeared(key, new.metadata.uid)
        return keys

    def seconds_left(self, key: Key) -> float:
        """How long what was written may still be on its way into the local copy; 0 when it is there."""
        return self._expectations.seconds_left(key)

    async def write(self, key: Key, plan: Plan) -> None:
        """Creates, updates and deletes. Raises ApiError, with a 409 for what has changed meanwhile."""
        client = self._tools.api.of(discovery.EndpointSlice)
        for each in plan.create:
            made = await client.create(each, key.namespace)
            if self.informer.lister.get(key.namespace, made.metadata.name) is None:
                self._expectations.expect_created(key, made.metadata.uid)
        for each in plan.update:
            await client.update(each)
        for each in plan.delete:
            uid = each.metadata.uid
            self._expectations.expect_deleted(key, uid)
            try:
                await client.delete(each.metadata.name, key.namespace, uid=uid)
            except ApiError as error:
                self._expectations.went(key, uid)
                if error.code != 404:
                    raise

    def forget(self, key: Key) -> None:
        """The service is gone."""
        self._expectations.forget(key)

    def _services(self, each: discovery.EndpointSlice) -> Iterable[Key]:
        labels = each.metadata.labels
        if labels.get(MANAGED_BY) == self.manager and labels.get(SERVICE_NAME):
            yield Key(each.metadata.namespace, labels[SERVICE_NAME])


def _file(key: Key) -> str:
    return "/".join(key)
