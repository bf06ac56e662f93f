"""What the scheduler tells monitoring programs: its queues, its attempts, what pods ask for."""

from __future__ import annotations

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.quantity import Quantity
from podkeeper.foundation.exposition import render
from podkeeper.scheduler import pod_resources
from podkeeper.scheduler.figures import SCHEDULED, SchedulerFigures
from podkeeper.scheduler.pod_facts import pod_facts
from podkeeper.scheduler.queue import SchedulingQueue
from podkeeper.testing.fake_clock import FakeClock


def pod(name: str, phase: str = "", **spec: object) -> v1.Pod:
    metadata = meta.ObjectMeta(name=name, namespace="default", uid=name)
    return v1.Pod(metadata=metadata, spec=v1.PodSpec(**spec), status=v1.PodStatus(phase=phase))  # type: ignore[arg-type]


async def test_pods_are_counted_by_queue_and_by_why_they_came() -> None:
    queue = SchedulingQueue(FakeClock())
    for name in ("a", "b"):
        queue.add(pod_facts(pod(name)))
    taken = queue.pop_nowait()
    assert taken is not None
    queue.fail(taken, {"NodePorts"})
    told = render(SchedulerFigures("default-scheduler", queue).families()).splitlines()
    for line in (
        'scheduler_pending_pods{queue="active"} 1',
        'scheduler_pending_pods{queue="unschedulable"} 1',
        'scheduler_pending_pods{queue="backoff"} 0',
        'scheduler_queue_incoming_pods_total{event="PodAdd",queue="active"} 2',
        'scheduler_queue_incoming_pods_total{event="ScheduleAttemptFailure",queue="unschedulable"} 1',
        "scheduler_preemption_attempts_total 0",
    ):
        assert line in told
    queue.wake({"NodePorts"})  # its back-off is not over
    assert dict(queue.pending()) == {"active": 1, "backoff": 1, "unschedulable": 0}


async def test_a_pods_way_is_told() -> None:
    clock = FakeClock()
    queue = SchedulingQueue(clock)
    figures = SchedulerFigures("default-scheduler", queue)
    queue.add(pod_facts(pod("a")))
    for _ in range(2):
        taken = queue.pop_nowait()
        assert taken is not None
        queue.retry_later(taken)
        await clock.advance(10.0)
        queue.add(taken)
    failures, since = queue.history("a")
    figures.note_attempt(SCHEDULED, 0.0)
    figures.note_point("Filter", 0.00015, True)
    figures.note_placed(failures + 1, clock.monotonic() - since)
    told = render(figures.families()).splitlines()
    profile = 'profile="default-scheduler"'
    for line in (
        f'scheduler_schedule_attempts_total{{{profile},result="scheduled"}} 1',
        "scheduler_pod_scheduling_attempts_sum 3",
        'scheduler_pod_scheduling_sli_duration_seconds_sum{attempts="3"} 20',
        "scheduler_framework_extension_point_duration_seconds_bucket"
        f'{{extension_point="Filter",{profile},status="Success",le="0.0001"}} 0',
        "scheduler_framework_extension_point_duration_seconds_bucket"
        f'{{extension_point="Filter",{profile},status="Success",le="0.0002"}} 1',
    ):
        assert line in told


def test_what_pods_ask_for_is_told_in_units_until_they_end() -> None:
    amounts = {
        "cpu": Quantity.parse("250m"),
        "memory": Quantity.parse("1Ki"),
        "example.com/dongle": Quantity.parse("2"),
    }
    container = v1.Container(name="c", resources=v1.ResourceRequirements(requests=amounts))
    placed = {"containers": (container,), "node_name": "n", "scheduler_name": "default-scheduler", "priority": 7}
    told = render(pod_resources.families([pod("a", **placed), pod("done", "Succeeded", **placed)])).splitlines()
    labels = 'namespace="default",node="n",pod="a",priority="7",scheduler="default-scheduler"'
    assert [line for line in told if not line.startswith("#")] == [
        f'kube_pod_resource_request{{{labels},resource="cpu",unit="cores"}} 0.25',
        f'kube_pod_resource_request{{{labels},resource="memory",unit="bytes"}} 1024',
        f'kube_pod_resource_request{{{labels},resource="example.com/dongle",unit="integer"}} 2',
    ]
