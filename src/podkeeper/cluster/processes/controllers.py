"""The controllers' process; the scheduler lives here too unless it is run apart, and shares the informers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from random import SystemRandom

from podkeeper.client.informer import InformerFactory
from podkeeper.cluster.children import stop_on_request, tell_ready
from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.processes.connection import connected
from podkeeper.cluster.settings import Settings
from podkeeper.controllers.manager import ControllerManager, ControllersConfig
from podkeeper.foundation.clock import SystemClock


async def run(layout: Layout, _settings: Settings, options: argparse.Namespace) -> None:
    """Runs until told to stop. Scheduler and controllers speak with credentials of their own."""
    clock = SystemClock()
    certificate = Credentials.of(layout).authority.certificate.read_text()
    async with contextlib.AsyncExitStack() as stack:
        stop = await stack.enter_async_context(stop_on_request())
        api = await stack.enter_async_context(connected(layout, "controllers", clock))
        informers = InformerFactory(api, clock)
        manager = ControllerManager(ControllersConfig(certificate), api, informers, clock)
        work = [informers.run(), manager.run()]
        if not options.no_scheduler:
            from podkeeper.scheduler.scheduler import Scheduler, SchedulerConfig

            own = await stack.enter_async_context(connected(layout, "scheduler", clock))
            scheduler = Scheduler(SchedulerConfig(), own, informers, clock, SystemRandom())
            work.append(scheduler.run())
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each) for each in work]
            await informers.wait_for_sync()
            tell_ready()
            await stop.wait()
            for task in running:
                task.cancel()
