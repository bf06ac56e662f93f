"""One command's conversation with the API server: the administrator's credentials, errors as an operator reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.failures import from_answer
from podkeeper.client.kubeconfig import load
from podkeeper.client.rest import RestApi
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

T = TypeVar("T")


def run(layout: Layout, work: Callable[[RestApi], Awaitable[T]]) -> T:
    """Runs ``work`` with the administrator's client. Raises ClusterError for what the server or the way to it says."""

    async def session() -> T:
        api = RestApi(load(layout.admin_kubeconfig), name="podkeeper")
        try:
            return await work(api)
        finally:
            await api.close()

    if not layout.admin_kubeconfig.exists():
        raise ClusterError(f"there is no cluster in {layout.root}", "podkeeper up --detach")
    try:
        return asyncio.run(session())
    except ApiError as error:
        raise ClusterError(refusal(error)) from error
    except ConnectionFailed as error:
        raise ClusterError(f"the API server does not answer: {error}", "podkeeper status") from error


def refusal(error: ApiError) -> str:
    """What the server says, as an operator reads it."""
    return f"the server refused ({error.reason}): {error.message}"


async def fetch(
    api: RestApi, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json"
) -> Any:
    """The tree that a GET answers with. Raises ApiError for anything but success."""
    code, headers, body = await api.request("GET", path, query=query, accept=accept)
    if code != 200:
        raise from_answer(code, headers, body)
    return msgspec.json.decode(body)
