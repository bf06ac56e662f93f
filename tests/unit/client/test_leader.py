"""Leader election among candidates on one in-memory Lease and one clock that stands still."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.errors import already_exists, modified, not_found
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.leader import ElectionConfig, LeaderElector, LeadershipLost, may_hold
from podkeeper.testing.fake_clock import FakeClock


class Leases:
    """The API's leases, one of them, with optimistic concurrency. ``away`` lists the identities it does not answer."""

    def __init__(self) -> None:
        self.lease: coordination.Lease | None = None
        self.version = self.reads = 0
        self.away = False

    def of(self, kind: type[coordination.Lease]) -> Leases:
        return self

    async def get(self, name: str, namespace: str = "") -> coordination.Lease:
        self._answer()
        self.reads += 1
        if self.lease is None:
            raise not_found("leases", "coordination.k8s.io", name)
        return self.lease

    async def create(self, lease: coordination.Lease, namespace: str = "") -> coordination.Lease:
        self._answer()
        if self.lease is not None:
            raise already_exists("leases", "coordination.k8s.io", lease.metadata.name)
        return self._store(lease)

    async def update(self, lease: coordination.Lease) -> coordination.Lease:
        self._answer()
        if lease.metadata.resource_version != str(self.version):
            raise modified("leases", "coordination.k8s.io", lease.metadata.name)
        return self._store(lease)

    def _answer(self) -> None:
        if self.away:
            raise ConnectionFailed("away")

    def _store(self, lease: coordination.Lease) -> coordination.Lease:
        self.version += 1
        metadata = msgspec.structs.replace(lease.metadata, resource_version=str(self.version))
        self.lease = msgspec.structs.replace(lease, metadata=metadata)
        return self.lease


class Candidate:
    def __init__(self, leases: Leases, clock: FakeClock, identity: str) -> None:
        self.elector = LeaderElector(leases, ElectionConfig("house", identity), clock)  # type: ignore[arg-type]
        self.finish = asyncio.Event()
        self.working = False
        self.task = asyncio.create_task(self.elector.run(self._work))

    async def _work(self) -> None:
        self.working = True
        try:
            await self.finish.wait()
        finally:
            self.working = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_the_first_leads_and_renews() -> None:
    leases, clock = Leases(), FakeClock()
    one = Candidate(leases, clock, "one")
    await clock.settle()
    two = Candidate(leases, clock, "two")
    await clock.settle()
    assert (one.working, two.working) == (True, False)
    assert leases.lease is not None
    first = leases.lease.spec
    assert (first.holder_identity, first.lease_duration_seconds, first.lease_transitions) == ("one", 15, 0)
    await clock.advance(60)
    assert (one.working, two.working, two.elector.leader) == (True, False, "one")
    assert leases.lease.spec.acquire_time == first.acquire_time
    assert leases.lease.spec.renew_time > first.renew_time
    await one.stop()
    await two.stop()


async def test_a_renewal_is_one_request_unless_somebody_has_touched_the_lease() -> None:
    leases, clock = Leases(), FakeClock()
    one = Candidate(leases, clock, "one")
    await clock.settle()
    before = leases.reads, leases.version
    await clock.advance(6)
    assert (leases.reads - before[0], leases.version - before[1]) == (0, 3)
    assert leases.lease is not None
    leases._store(leases.lease)
    await clock.advance(2)
    assert (leases.reads - before[0], leases.version - before[1]) == (1, 5)
    assert one.working
    await one.stop()


async def test_a_leader_whose_lease_was_taken_stops() -> None:
    leases, clock = Leases(), FakeClock()
    one = Candidate(leases, clock, "one")
    await clock.settle()
    assert leases.lease is not None
    stolen = msgspec.structs.replace(leases.lease.spec, holder_identity="two")
    leases._store(msgspec.structs.replace(leases.lease, spec=stolen))
    await clock.advance(2)
    with pytest.raises(LeadershipLost, match="held by two"):
        await one.task
    assert leases.lease.spec.holder_identity == "two"


async def test_a_leader_that_ends_hands_over_at_once() -> None:
    leases, clock = Leases(), FakeClock()
    one = Candidate(leases, clock, "one")
    await clock.settle()
    two = Candidate(leases, clock, "two")
    await clock.settle()
    one.finish.set()
    await one.task
    assert leases.lease is not None
    assert leases.lease.spec.holder_identity == ""
    await clock.advance(2)
    assert two.working
    assert leases.lease.spec.lease_transitions == 1
    await two.stop()


async def test_a_leader_that_dies_is_replaced_after_the_lease_duration() -> None:
    leases, clock = Leases(), FakeClock()
    one = Candidate(leases, clock, "one")
    await clock.settle()
    assert leases.lease is not None
    held = leases.lease
    await one.stop()
    leases.lease = msgspec.structs.replace(held, metadata=leases.lease.metadata)  # died: no release
    two = Candidate(leases, clock, "two")
    await clock.advance(14)
    assert not two.working
    await clock.advance(2)
    assert two.working
    await two.stop()


async def test_a_leader_without_a_server_stops_before_another_may_start() -> None:
    leases, clock = Leases(), FakeClock()
    one = Candidate(leases, clock, "one")
    await clock.settle()
    leases.away = True
    await clock.advance(9)
    assert one.working
    await clock.advance(3)
    assert not one.working
    with pytest.raises(LeadershipLost, match="house"):
        await one.task


async def test_an_error_in_the_work_ends_the_leadership() -> None:
    leases, clock = Leases(), FakeClock()

    async def fail() -> None:
        raise ZeroDivisionError

    elector = LeaderElector(leases, ElectionConfig("house", "one"), clock)  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as failure:
        await elector.run(fail)
    assert failure.group_contains(ZeroDivisionError)
    assert leases.lease is not None
    assert leases.lease.spec.holder_identity == ""


def test_who_may_hold_a_lease() -> None:
    held = coordination.Lease(spec=coordination.LeaseSpec(holder_identity="one", lease_duration_seconds=15))
    free = coordination.Lease(spec=coordination.LeaseSpec(holder_identity=""))
    assert may_hold(held, "one", 0)
    assert may_hold(free, "two", 0)
    assert may_hold(coordination.Lease(), "two", 0)
    assert not may_hold(held, "two", 14.9)
    assert may_hold(held, "two", 15)
