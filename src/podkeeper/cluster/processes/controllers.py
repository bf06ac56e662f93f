"""The controllers' process; the scheduler lives here too unless it is run apart, and shares the informers.

Each of the two acts as long as it holds its lease; one that does not keeps its local copies warm.
"""

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
from podkeeper.controllers.manager import ControllerManager, ControllersConfig
from podkeeper.foundation.clock import SystemClock


async def run(layout: Layout, _settings: Settings, options: argparse.Namespace) -> None:
    """Runs until told to stop. Scheduler and controllers speak with credentials of their own."""
    clock = SystemClock()
    made = Credentials.of(layout)
    config = ControllersConfig(made.authority.certificate.read_text(), made.authority, made.service_accounts)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(election.ending_with_leadership())
        await stack.enter_async_context(until_stopped())
        own = stack.enter_context(election.identity(layout, "controllers")) if options.leader_elect else ""
        api = await stack.enter_async_context(connected(layout, "controllers", clock))
        informers = InformerFactory(api, clock)
        manager = ControllerManager(config, api, informers, clock)
        candidate = election.elector(api, clock, election.CONTROLLERS, own, options) if own else None
        work = [(candidate, manager.run)]
        shown = [Observed("controllers", api, candidate, manager.families)]
        if not options.no_scheduler:
            from podkeeper.scheduler.scheduler import Scheduler, SchedulerConfig

            theirs = await stack.enter_async_context(connected(layout, "scheduler", clock))
            scheduler = Scheduler(SchedulerConfig(), theirs, informers, clock, SystemRandom())
            candidate = election.elector(theirs, clock, election.SCHEDULER, own, options) if own else None
            work.append((candidate, scheduler.run))
            shown.append(Observed("scheduler", theirs, candidate, scheduler.figures.families, scheduler.resources))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(informers.run(), name="informers")
            await informers.wait_for_sync()
            for each in work:
                tasks.create_task(election.lead(*each))
            for component in shown:
                tasks.create_task(component.serve(options, made, clock), name=f"figures of the {component.component}")
            tell_ready()
