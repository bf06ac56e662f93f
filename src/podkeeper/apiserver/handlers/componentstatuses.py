"""componentstatuses (deprecated since 1.19, still listed): the health of the store, the controllers and the scheduler.

As upstream, the server that is asked looks for the latter at their usual ports of its own machine.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from podkeeper.api import resources
from podkeeper.api.errors import not_found
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.handlers.rendering import Renderer
from podkeeper.apiserver.health import Check
from podkeeper.foundation.http import Answer
from podkeeper.foundation.http.client import Exchange, ExchangeFailed, request_message

_LOOPBACK = "127.0.0.1"
_SECONDS = 20.0


class _Component(Struct, frozen=True):
    name: str
    wrong: str

    def tree(self) -> dict[str, Any]:
        """The ComponentStatus."""
        wrong = self.wrong
        condition = {"type": "Healthy", "status": "False" if wrong else "True", "message": wrong or "ok"}
        return {
            "kind": "ComponentStatus",
            "apiVersion": "v1",
            "metadata": {"name": self.name},
            "conditions": [condition],
        }


async def probe(port: int) -> str:
    """What is wrong with the component at a port: nothing when it says that it is healthy."""
    where = f'Get "https://{_LOOPBACK}:{port}/healthz": '
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as upstream: nothing secret is said
    request = request_message("GET", "/healthz", [(b"host", f"{_LOOPBACK}:{port}".encode()), (b"connection", b"close")])
    try:
        async with asyncio.timeout(_SECONDS):
            exchange = await Exchange.send((_LOOPBACK, port), context, request)
            body = b"".join([piece async for piece in exchange.pieces()])
            exchange.close()
    except ExchangeFailed as error:
        return f"{where}{error}"
    except TimeoutError:
        return f"{where}context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    return "" if 200 <= exchange.status < 400 else body.decode(errors="replace")


#: The components that are processes of their own.
PROCESSES: Mapping[str, Check] = {
    "controller-manager": partial(probe, 10257),
    "scheduler": partial(probe, 10259),
}


class ComponentStatuses:
    """``checks`` are by component name; a check returns what is wrong."""

    def __init__(self, checks: Mapping[str, Check], renderer: Renderer) -> None:
        self._checks = checks
        self._renderer = renderer
        row = resources.lookup("", "v1", "componentstatuses")
        assert row is not None
        self._row = row

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group and resource."""
        return {("", "componentstatuses", ""): self.handle}

    async def handle(self, call: Call) -> Answer:
        """One component, or all."""
        name, rendering = call.info.name, call.rendering()
        asked = [each for each in self._checks if call.info.verb == "list" or each == name]
        wrong = await asyncio.gather(*(self._checks[each]() for each in asked))
        chosen = [_Component(name, why) for name, why in zip(asked, wrong, strict=True)]
        if not chosen:
            raise not_found("componentstatuses", "", name)
        if rendering.transform == "Table":
            tree = self._renderer.table(call, self._row, chosen, {}, rendering.version)
        elif call.info.verb == "list":
            items = [each.tree() for each in chosen]
            tree = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
        else:
            tree = chosen[0].tree()
        return responses.tree(tree, rendering, headers=responses.warnings([self._row.deprecation]))
