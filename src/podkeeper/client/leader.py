"""Leader election on a Lease: of several candidates with one lease name, at most one leads.

```
           free, or not renewed for lease_duration           renewed every retry_period
candidate ────────────────────────────────────────► leader ────────────────────────────┐
    ▲  tries every retry_period                        │ ▲──────────────────────────────┘
    └──────────────────────────────────────────────────┘ work ends: released · not renewed for renew_deadline: lost
```
Time is measured on this machine from the moment a change of the lease was seen, so clocks of candidates need not agree
(client-go's ``tools/leaderelection``; defaults are upstream's). There is no fencing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct

from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.timestamps import format_micro_time
from podkeeper.client.api import Api, ConnectionFailed
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.foundation.exposition import Family

log = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """The lease could not be renewed in time: whoever led must stop at once."""


class ElectionConfig(Struct, frozen=True):
    """``identity`` tells this candidate from all others. Times are in seconds."""

    name: str
    identity: str
    namespace: str = "kube-system"
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


class LeaderElector:
    """One candidate."""

    def __init__(self, api: Api, config: ElectionConfig, clock: Clock | None = None) -> None:
        self._leases = api.of(coordination.Lease)
        self._config, self._clock = config, clock or SystemClock()
        self._seen: coordination.Lease | None = None
        self._seen_at = 0.0
        self.leading = False

    def __repr__(self) -> str:
        return f"<LeaderElector {self._config.name} as {self._config.identity} leading={self.leading}>"

    def families(self) -> Sequence[Family]:
        """What /metrics tells: 1 while this candidate leads."""
        labels, text = {"name": self._config.name}, "1 in the process that leads."
        return (Family("leader_election_master_status", "gauge", text, lambda: [(labels, int(self.leading))]),)

    @property
    def leader(self) -> str:
        """Who holds the lease, as last seen."""
        return (self._seen.spec.holder_identity or "") if self._seen else ""

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Waits to become the leader and then runs ``work`` once; gives the lease up when that ends or is cancelled.

        Raises LeadershipLost, with ``work`` cancelled, when the lease cannot be renewed.
        """
        standing_by = False
        while not await self._try():
            if not standing_by:
                log.info("%r: stands by, %s leads", self, self.leader or "nobody yet")
                standing_by = True
            await self._clock.sleep(self._config.retry_period)
        log.info("%r: became the leader", self)
        self.leading = True
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(self._keep())
                await work()
                renewing.cancel()
        except* LeadershipLost as lost:
            raise lost.exceptions[0] from None
        finally:
            self.leading = False
            await self._release()

    async def _keep(self) -> None:
        renewed = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._config.retry_period)
            if await self._try():
                renewed = self._clock.monotonic()
            elif (
                self._clock.monotonic() - renewed >= self._config.renew_deadline or self.leader != self._config.identity
            ):
                raise LeadershipLost(f"lease {self._config.name} is held by {self.leader or 'nobody'}")

    async def _try(self) -> bool:
        """Takes or renews the lease; False when another holds it or the server does not answer."""
        try:
            async with asyncio.timeout(self._config.renew_deadline):
                return await self._take_or_renew()
        except (ApiError, ConnectionFailed, TimeoutError) as error:
            log.warning("%r: %s", self, error)
            return False

    async def _take_or_renew(self) -> bool:
        if self.leading and self._seen is not None and await self._renew(self._seen):
            return True
        try:
            lease = await self._leases.get(self._config.name, self._config.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            self._observe(await self._leases.create(self._new(), self._config.namespace))
            return True
        if self._seen is None or self._seen.spec != lease.spec:
            self._observe(lease)
        if not may_hold(lease, self._config.identity, self._clock.monotonic() - self._seen_at):
            return False
        self._observe(await self._leases.update(self._held(lease)))
        return True

    async def _renew(self, seen: coordination.Lease) -> bool:
        """The leader's way: one request, as long as nobody has touched the lease."""
        try:
            self._observe(await self._leases.update(self._held(seen)))
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return False
        return True

    def _observe(self, lease: coordination.Lease) -> None:
        self._seen, self._seen_at = lease, self._clock.monotonic()

    def _new(self) -> coordination.Lease:
        empty = coordination.Lease(
            metadata=meta.ObjectMeta(name=self._config.name, namespace=self._config.namespace),
            spec=coordination.LeaseSpec(lease_transitions=-1),
        )
        return self._held(empty)

    def _held(self, lease: coordination.Lease) -> coordination.Lease:
        """``lease`` as this candidate's, renewed now."""
        now, before = format_micro_time(self._clock.time()), lease.spec
        mine = before.holder_identity == self._config.identity
        spec = msgspec.structs.replace(
            before,
            holder_identity=self._config.identity,
            lease_duration_seconds=round(self._config.lease_duration),
            acquire_time=before.acquire_time if mine else now,
            renew_time=now,
            lease_transitions=(before.lease_transitions or 0) + (0 if mine else 1),
        )
        return msgspec.structs.replace(lease, spec=spec)

    async def _release(self) -> None:
        """Lets the next candidate in without waiting. A failure costs them the lease duration, no more."""
        lease = self._seen
        if lease is None or lease.spec.holder_identity != self._config.identity:
            return
        spec = msgspec.structs.replace(
            lease.spec, holder_identity="", lease_duration_seconds=1, renew_time=format_micro_time(self._clock.time())
        )
        try:
            async with asyncio.timeout(self._config.retry_period):
                self._observe(await self._leases.update(msgspec.structs.replace(lease, spec=spec)))
        except (ApiError, ConnectionFailed, TimeoutError) as error:
            log.warning("%r: giving up the lease failed: %s", self, error)


def may_hold(lease: coordination.Lease, identity: str, unchanged_for: float) -> bool:
    """Whether ``identity`` may take or renew ``lease``, which has not changed for so many seconds."""
    holder = lease.spec.holder_identity or ""
    return holder in ("", identity) or unchanged_for >= (lease.spec.lease_duration_seconds or 0)
