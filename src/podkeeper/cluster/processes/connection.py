"""A component's way to the API server: its own credentials, and patience while the server starts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from podkeeper.client.api import ConnectionFailed
from podkeeper.client.kubeconfig import load
from podkeeper.client.rest import RestApi
from podkeeper.cluster.layout import Layout
from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock


@contextlib.asynccontextmanager
async def connected(layout: Layout, component: str, clock: Clock) -> AsyncIterator[RestApi]:
    """The component's client, once the API server answers. A server elsewhere has no event to wait for: it is asked."""
    api = RestApi(load(layout.kubeconfig(component)), name=f"podkeeper-{component}", clock=clock)
    backoff = BackOff(0.01, 1.0)
    try:
        while not await _answers(api):
            await clock.sleep(backoff.next_delay(component))
        yield api
    finally:
        await api.close()


async def _answers(api: RestApi) -> bool:
    try:
        code, _, _ = await api.request("GET", "/readyz")
    except ConnectionFailed:
        return False
    return code == 200
