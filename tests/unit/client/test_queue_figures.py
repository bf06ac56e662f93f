"""Figures of work queues: upstream's names and buckets, true times."""

from __future__ import annotations

from podkeeper.client.queue_figures import QueueFigures
from podkeeper.client.workqueue import WorkQueue
from podkeeper.foundation.exposition import render
from podkeeper.testing.fake_clock import FakeClock


async def test_queues_are_counted_by_name() -> None:
    clock = FakeClock()
    figures = QueueFigures(clock)
    queue: WorkQueue[str] = WorkQueue(clock=clock, tally=figures.of("deployment"))
    for key in ("a", "b", "a"):
        queue.add(key)
    await clock.advance(2.0)
    key = await queue.get()
    queue.add_rate_limited(key)
    await clock.advance(3.0)
    lines = render(figures.families()).splitlines()
    for told in (
        'workqueue_adds_total{name="deployment"} 2',
        'workqueue_depth{name="deployment"} 1',
        'workqueue_retries_total{name="deployment"} 1',
        'workqueue_longest_running_processor_seconds{name="deployment"} 3',
        'workqueue_queue_duration_seconds_sum{name="deployment"} 2',
        'workqueue_queue_duration_seconds_bucket{name="deployment",le="1e-08"} 0',
        'workqueue_queue_duration_seconds_bucket{name="deployment",le="10"} 1',
    ):
        assert told in lines
    queue.done(key)
    assert 'workqueue_work_duration_seconds_sum{name="deployment"} 3' in render(figures.families()).splitlines()
