"""Requests at the gate: which flow, who runs, who waits, who is sent away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podkeeper.api.user import AUTHENTICATED_GROUP, UserInfo
from podkeeper.apiserver.fairness.admission import FairAdmission, SentAway
from podkeeper.apiserver.requestinfo import RequestInfo, parse
from podkeeper.foundation.clock import SystemClock


def user(name: str, *groups: str) -> UserInfo:
    return UserInfo(name, groups=(*groups, AUTHENTICATED_GROUP))


PODS = parse("GET", b"/api/v1/namespaces/default/pods/one")


def gate(total: int = 245, patience: float = 60.0, stored: int = 0) -> FairAdmission:
    return FairAdmission(total, patience, lambda info: stored, SystemClock())


@pytest.mark.parametrize(
    ("who", "method", "path", "schema"),
    [
        (user("root", "system:masters"), "GET", "/api/v1/pods", "exempt"),
        (user("alice"), "GET", "/api/v1/pods", "global-default"),
        (user("alice"), "GET", "/readyz", "probes"),
        (user("alice"), "GET", "/readyz/etcd", "global-default"),
        (user("system:node:n1", "system:nodes"), "PATCH", "/api/v1/nodes/n1/status", "system-node-high"),
        (
            user("system:node:n1", "system:nodes"),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/x/leases/n1",
            "system-node-high",
        ),
        (user("system:node:n1", "system:nodes"), "GET", "/api/v1/namespaces/x/pods/p", "system-nodes"),
        (
            user("system:kube-scheduler"),
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/s",
            "system-leader-election",
        ),
        (user("system:kube-scheduler"), "GET", "/api/v1/pods", "kube-scheduler"),
        (user("system:kube-controller-manager"), "PUT", "/api/v1/namespaces/x/endpoints/e", "endpoint-controller"),
        (
            user("system:serviceaccount:kube-system:dns", "system:serviceaccounts"),
            "GET",
            "/api/v1/services",
            "kube-system-service-accounts",
        ),
        (
            user("system:serviceaccount:kube-system:dns", "system:serviceaccounts"),
            "PUT",
            "/api/v1/namespaces/x/configmaps/c",
            "workload-leader-election",
        ),
        (
            user("system:serviceaccount:default:app", "system:serviceaccounts"),
            "GET",
            "/api/v1/services",
            "service-accounts",
        ),
        (UserInfo("nobody"), "GET", "/api/v1/services", "catch-all"),
    ],
)
async def test_upstreams_schemas_match_as_upstreams(who: UserInfo, method: str, path: str, schema: str) -> None:
    assert gate().flow(who, parse(method, path.encode())).schema == schema


async def test_users_and_namespaces_are_flows_of_their_own() -> None:
    fair = gate()
    alice, bob = fair.flow(user("alice"), PODS), fair.flow(user("bob"), PODS)
    assert (alice.level, alice.distinguisher, bob.distinguisher) == (bob.level, "alice", "bob")
    assert alice.hash != bob.hash
    manager = user("system:kube-controller-manager")
    assert fair.flow(manager, PODS).distinguisher == "default"


@pytest.mark.parametrize(
    ("target", "stored", "width"),
    [
        (b"/api/v1/namespaces/default/pods/one", 100_000, 1),
        (b"/api/v1/pods", 0, 1),
        (b"/api/v1/pods", 100, 2),
        (b"/api/v1/pods", 100_000, 3),  # 20 seats, of which one request may have 15 %
        (b"/api/v1/pods?limit=60", 100_000, 2),
        (b"/api/v1/pods?limit=-1", 100, 2),
        (b"/api/v1/pods?fieldSelector=metadata.name%3Done", 100_000, 1),
        (b"/api/v1/pods?watch=1", 100_000, 1),
        (b"/api/v1/pods?watch=1&sendInitialEvents=true", 100_000, 3),
    ],
)
async def test_lists_take_seats_by_what_they_read(target: bytes, stored: int, width: int) -> None:
    fair, info = gate(stored=stored), parse("GET", target)
    assert fair.width(fair.flow(user("alice"), info), info) == width


class Crowd:
    """Requests that hold their seat until they are told to end; remembers in which order they ran."""

    def __init__(self, fair: FairAdmission) -> None:
        self.fair = fair
        self.order: list[str] = []
        self.running: list[asyncio.Future[None]] = []
        self.sent_away: list[str] = []

    async def request(self, who: UserInfo, info: RequestInfo = PODS) -> None:
        flow = self.fair.flow(who, info)
        if not self.fair.take(flow, 1):
            try:
                await self.fair.wait(flow, 1, who, info)
            except SentAway:
                self.sent_away.append(who.name)
                return
        self.order.append(who.name)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.running.append(mine)
        try:
            await mine
        finally:
            self.fair.give_back(flow, 1)

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def end_one(self) -> None:
        self.running.pop(0).set_result(None)
        await self.settle()

    def end_all(self) -> None:
        for each in self.running:
            each.cancel()


async def test_a_flood_of_one_user_leaves_anothers_requests_prompt() -> None:
    crowd = Crowd(gate(total=30))
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(crowd.request(user("flood"))) for _ in range(250)]
        await crowd.settle()
        running = len(crowd.order)
        assert running < 30
        late = [tasks.create_task(crowd.request(user("other"))) for _ in range(3)]
        await crowd.settle()
        assert "other" not in crowd.order
        for _ in range(24):
            await crowd.end_one()
        assert crowd.order[running : running + 24].count("other") == 3
        for task in (*started, *late):
            task.cancel()


async def test_what_only_computes_takes_turns_too() -> None:
    """A hundred requests become runnable at once, and then one of another user: none of them ever waits for anything
    but its turn, and still the hundred do not all go first."""
    fair, order = gate(total=24), []

    async def compute(name: str) -> None:
        flow = fair.flow(user(name), PODS)
        if not fair.take(flow, 1):
            await fair.wait(flow, 1, user(name), PODS)
        order.append(name)
        fair.give_back(flow, 1)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(100):
            tasks.create_task(compute("flood"))
        tasks.create_task(compute("other"))
    assert len(order) == 101
    assert order.index("other") < 40


async def test_a_full_queue_sends_away_at_once() -> None:
    crowd = Crowd(gate(total=30))
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(crowd.request(user("flood"))) for _ in range(400)]
        await crowd.settle()
        waiting = len(crowd.fair.flow(user("flood"), PODS).level.queues or ())
        assert waiting == 300  # six queues of fifty
        assert len(crowd.sent_away) == 400 - 300 - len(crowd.order)
        for task in started:
            task.cancel()


async def test_who_waits_too_long_is_sent_away_and_leaves_no_trace() -> None:
    crowd = Crowd(gate(total=1, patience=0.0))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(crowd.request(user("a")))
        await crowd.settle()
        await crowd.request(user("b"))
        assert crowd.sent_away == ["b"]
        level = crowd.fair.flow(user("b"), PODS).level
        assert len(level.queues or ()) == 0
        assert level.rejected == {"time-out": 1}
        tally = crowd.fair.flow(user("b"), PODS).tally
        assert (tally.started, tally.running, tally.seats, tally.waiting) == (1, 1, 1, 0)
        assert sum(tally.vain.counts) == 1
        first.cancel()


async def test_who_goes_away_while_waiting_holds_nothing() -> None:
    crowd = Crowd(gate(total=1))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.request(user("a")))
        gone = tasks.create_task(crowd.request(user("b")))
        last = tasks.create_task(crowd.request(user("c")))
        await crowd.settle()
        crowd.running[0].set_result(None)
        gone.cancel()  # at the very moment at which its turn comes
        await crowd.settle()
        assert "c" in crowd.order
        last.cancel()
    await crowd.settle()
    levels = crowd.fair.seats.levels.values()
    assert all(level.used == level.running == 0 for level in levels)
    tallies = [tally for level in levels for tally in level.tallies.values()]
    assert all(tally.seats == tally.waiting == 0 for tally in tallies)


async def test_a_level_that_rejects_lets_nobody_wait() -> None:
    fair = gate(total=1)
    nobody, info = UserInfo("nobody"), PODS
    flow = fair.flow(nobody, info)
    assert fair.take(flow, 1)
    assert not fair.take(flow, 1)
    with pytest.raises(SentAway):
        await fair.wait(flow, 1, nobody, info)


async def test_a_schema_whose_level_is_missing_does_not_count() -> None:
    fair = gate()
    rules: list[Any] = [
        {
            "subjects": [{"kind": "User", "user": {"name": "alice"}}],
            "resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}],
        }
    ]
    spec = {"priorityLevelConfiguration": {"name": "mine"}, "matchingPrecedence": 5, "rules": rules}
    schema = {"metadata": {"name": "mine", "uid": "1"}, "spec": spec}
    fair.configure({"mine": schema}, {})
    assert fair.flow(user("alice"), PODS).schema == "catch-all"
    level = {"metadata": {"name": "mine", "uid": "2"}, "spec": {"type": "Limited", "limited": {}}}
    fair.configure({"mine": schema}, {"mine": level})
    flow = fair.flow(user("alice"), PODS)
    assert flow.schema == "mine"
    assert flow.head == b"X-Kubernetes-Pf-Flowschema-Uid: 1\r\nX-Kubernetes-Pf-Prioritylevel-Uid: 2\r\n"
