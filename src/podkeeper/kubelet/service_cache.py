"""The cluster's services as last seen, for the environment variables of new containers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from podkeeper.api.core import v1
from podkeeper.client.api import Api
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.reflection import Reflection


class ServiceCache:
    """Kept current by ``reflection``; ``loaded`` is set once it is complete."""

    def __init__(self) -> None:
        self.loaded = asyncio.Event()
        self._services: dict[tuple[str, str], v1.Service] = {}

    def all(self) -> Iterable[v1.Service]:
        """Every service."""
        return self._services.values()

    def reflection(self, api: Api, clock: Clock) -> Reflection[v1.Service]:
        """What must run for the cache to follow the cluster."""
        return Reflection(api.of(v1.Service), clock, self._replace, self._changed)

    def _replace(self, services: Sequence[v1.Service]) -> None:
        self._services = {_key(each): each for each in services}
        self.loaded.set()

    def _changed(self, kind: str, service: v1.Service) -> None:
        if kind == "DELETED":
            self._services.pop(_key(service), None)
        else:
            self._services[_key(service)] = service


def _key(service: v1.Service) -> tuple[str, str]:
    return service.metadata.namespace, service.metadata.name
