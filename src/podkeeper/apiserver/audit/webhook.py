"""Sends audit events to another server, as an EventList of audit.k8s.io/v1."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

from podkeeper.apiserver.audit.options import WebhookOptions
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.kubeconfig import load
from podkeeper.client.transport import Transport
from podkeeper.foundation.clock import Clock

log = logging.getLogger(__name__)

#: Upstream's: how often a batch is tried, how much longer each wait is, and by how much it may be longer still.
TRIES, FACTOR, JITTER = 5, 1.5, 0.2
#: Seconds for an answer.
PATIENCE = 30.0
_HEAD = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['


class AuditWebhook:
    """One server that takes events."""

    name = "webhook"

    def __init__(self, options: WebhookOptions, clock: Clock) -> None:
        """Raises KubeconfigInvalid."""
        config = load(options.kubeconfig)
        self._transport = Transport(config, "podkeeper-apiserver", PATIENCE)
        self._path = "" if config.server.split("://", 1)[-1].count("/") else "/"
        self._backoff, self._clock = options.backoff, clock

    async def deliver(self, lines: Sequence[bytes]) -> bool:
        """Sends a batch, several times where nobody answers or the server is at fault; whether it was taken."""
        body = _HEAD + b",".join(line.rstrip(b"\n") for line in lines) + b"]}"
        headers, wait, why = {"Content-Type": "application/json"}, self._backoff, ""
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(wait * (1 + JITTER * random.random()))  # noqa: S311 - spreads retries
                wait *= FACTOR
            try:
                code, _, _ = await self._transport.request("POST", self._path, headers, body)
            except ConnectionFailed as error:
                why = str(error)
                continue
            if 200 <= code < 300:
                return True
            why = f"it answers {code}"
            if code != 429 and code < 500:
                break
        log.error("%d audit events were not sent: %s", len(lines), why)
        return False

    async def close(self) -> None:
        """Ends its connections."""
        await self._transport.close()
