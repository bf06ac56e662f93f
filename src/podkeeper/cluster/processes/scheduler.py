"""The scheduler's process, for those who run it apart from the controllers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from random import SystemRandom

from podkeeper.client.informer import InformerFactory
from podkeeper.cluster import election
from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.ending import until_stopped
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.observed import Observed
from podkeeper.cluster.pipes import tell_ready
from podkeeper.cluster.processes.connection import connected
from podkeeper.cluster.settings import Settings
from podkeeper.foundation.clock import SystemClock
from podkeeper.scheduler.scheduler import Scheduler, SchedulerConfig


async def run(layout: Layout, _settings: Settings, options: argparse.Namespace) -> None:
    """Schedules, while it holds the lease, until told to stop."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(election.ending_with_leadership())
        await stack.enter_async_context(until_stopped())
        own = stack.enter_context(election.identity(layout, "scheduler")) if options.leader_elect else ""
        api = await stack.enter_async_context(connected(layout, "scheduler", clock))
        informers = InformerFactory(api, clock)
        scheduler = Scheduler(SchedulerConfig(), api, informers, clock, SystemRandom())
        candidate = election.elector(api, clock, election.SCHEDULER, own, options) if own else None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informers.run(), name="informers")
            await informers.wait_for_sync()
            tasks.create_task(election.lead(candidate, scheduler.run), name="scheduler")
            shown = Observed("scheduler", api, candidate, scheduler.figures.families, scheduler.resources)
            tasks.create_task(shown.serve(options, Credentials.of(layout), clock), name="figures")
            tell_ready()
