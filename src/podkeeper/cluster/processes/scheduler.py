"""The scheduler's process, for those who run it apart from the controllers."""

from __future__ import annotations

import argparse
import asyncio
from random import SystemRandom

from podkeeper.client.informer import InformerFactory
from podkeeper.cluster.children import stop_on_request, tell_ready
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.processes.connection import connected
from podkeeper.cluster.settings import Settings
from podkeeper.foundation.clock import SystemClock
from podkeeper.scheduler.scheduler import Scheduler, SchedulerConfig


async def run(layout: Layout, _settings: Settings, _options: argparse.Namespace) -> None:
    """Schedules until told to stop."""
    clock = SystemClock()
    async with stop_on_request() as stop, connected(layout, "scheduler", clock) as api:
        informers = InformerFactory(api, clock)
        scheduler = Scheduler(SchedulerConfig(), api, informers, clock, SystemRandom())
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(informers.run(), name="informers"),
                tasks.create_task(scheduler.run(), name="scheduler"),
            ]
            await informers.wait_for_sync()
            tell_ready()
            await stop.wait()
            for task in running:
                task.cancel()
