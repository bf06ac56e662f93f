"""Removes requests that are done with. Source: upstream's csrcleaner, whose figures these are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.certificates import v1
from podkeeper.api.errors import ApiError
from podkeeper.controllers.certificates.conditions import APPROVED, DENIED, FAILED, has
from podkeeper.controllers.framework import Key, Tools, Watch, own_key

#: Seconds that a request stays: answered, and never answered.
ANSWERED, PENDING = 3600.0, 24 * 3600.0


class CertificateCleaning:
    """Keys are requests; each is looked at again when its time has come."""

    name = "certificate-controller"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._requests = tools.informer(v1.CertificateSigningRequest)

    def watches(self) -> Sequence[Watch[Any]]:
        """Every request."""
        return (Watch(self._requests, own_key),)

    async def reconcile(self, key: Key) -> float | None:
        """Removes the request once it is due, or says when that is."""
        request = self._requests.lister.get("", key.name)
        if request is None:
            return None
        wait = ends(request) - self._tools.clock.time()
        if wait > 0:
            return wait
        try:
            await self._tools.api.of(v1.CertificateSigningRequest).delete(key.name, uid=request.metadata.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        return None


def ends(request: v1.CertificateSigningRequest) -> float:
    """When a request is to be removed, in seconds since the epoch."""
    due: list[float] = []
    if has(request, APPROVED) and request.status.certificate:
        due += [_since(request, APPROVED) + ANSWERED, _expiry(request.status.certificate)]
    due += [_since(request, kind) + ANSWERED for kind in (DENIED, FAILED) if has(request, kind)]
    return min(due, default=_created(request) + PENDING)


def _expiry(certificate: str) -> float:
    from podkeeper.controllers.certificates import issuing

    try:
        return issuing.expiry(certificate)
    except ValueError:
        return float("inf")


def _since(request: v1.CertificateSigningRequest, kind: str) -> float:
    times = [each.last_update_time for each in request.status.conditions if each.type == kind]
    return timestamps.parse(times[0]) if times and times[0] else _created(request)


def _created(request: v1.CertificateSigningRequest) -> float:
    return timestamps.parse(request.metadata.creation_timestamp)
