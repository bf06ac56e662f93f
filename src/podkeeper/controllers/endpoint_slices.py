"""EndpointSlices of services with selectors: which pods are behind a service, where, and in which condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers import slice_packing
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.controllers.ownership import reference_to
from podkeeper.controllers.replica_set import is_for_end_of_namespace
from podkeeper.controllers.service_pods import (
    HEADLESS,
    TRIGGER_TIME,
    families,
    is_headless,
    is_listed,
    selected,
    services_of,
    trigger_time,
)
from podkeeper.controllers.slice_contents import ZONE, contents, inherited_labels
from podkeeper.controllers.slice_packing import Head
from podkeeper.controllers.slice_writer import MANAGED_BY, SERVICE_NAME, SliceWriter

MANAGER = "endpointslice-controller.k8s.io"


class EndpointSlices:
    """Keys are services. Slices go with their service: it owns them."""

    name = "endpointslice-controller"
    workers = 5

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._services, self._pods = tools.informer(v1.Service), tools.informer(v1.Pod)
        self._nodes = tools.informer(v1.Node)
        self._slices = SliceWriter(tools, MANAGER)

    def watches(self) -> Sequence[Watch[Any]]:
        """Services, the pods they select, nodes for their zones, and the slices themselves."""
        return (
            Watch(self._services, own_key),
            Watch(self._pods, lambda old, new: services_of(self._services.lister, old, new)),
            Watch(self._nodes, self._node_changed),
            Watch(self._slices.informer, self._slices.changed),
        )

    def _node_changed(self, old: v1.Node | None, new: v1.Node | None) -> Iterable[Key]:
        if old is not None and new is not None and old.metadata.labels.get(ZONE) == new.metadata.labels.get(ZONE):
            return
        for service in self._services.lister.list():
            yield Key(service.metadata.namespace, service.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        """Compares and writes."""
        service = self._services.lister.get(key.namespace, key.name)
        if service is None:
            self._slices.forget(key)
            return None
        if not service.spec.selector or service.spec.type == "ExternalName" or service.metadata.deletion_timestamp:
            return None
        if (patience := self._slices.seconds_left(key)) > 0:
            return patience
        pods = [pod for pod in selected(service, self._pods.lister) if is_listed(pod, terminating=True)]
        wanted = contents(service, pods, lambda name: self._nodes.lister.get("", name))
        head, existing = _head(service, pods), self._slices.of_service(key)
        found = slice_packing.plan(head, existing, wanted)
        slice_packing.with_placeholders(found, head, existing, families(service))
        try:
            await self._slices.write(key, slice_packing.reuse(found))
        except ApiError as error:
            if is_for_end_of_namespace(error):
                return None
            if error.code != 409:
                self._tools.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", _failure(key, error))
            raise
        return None


def _head(service: v1.Service, pods: Iterable[v1.Pod]) -> Head:
    """What every slice of the service has in common."""
    labels = inherited_labels(service.metadata.labels, (SERVICE_NAME, MANAGED_BY, HEADLESS))
    labels |= {SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}
    if is_headless(service):
        labels[HEADLESS] = ""
    metadata = meta.ObjectMeta(
        generate_name=f"{service.metadata.name}-",
        namespace=service.metadata.namespace,
        labels=labels,
        owner_references=(reference_to(service),),
    )
    return Head(metadata, {TRIGGER_TIME: trigger_time(service, pods)})


def _failure(key: Key, error: ApiError) -> str:
    return f"Error updating Endpoint Slices for Service {key.namespace}/{key.name}: {error.message}"
