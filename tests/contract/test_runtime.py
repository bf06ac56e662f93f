"""The CRI's contract, kept by the real engine and by the scripted runtime alike."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from podkeeper.runtime.cri import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    EventKind,
    Resources,
    RuntimeEvent,
    RuntimeService,
    SandboxConfig,
    SandboxState,
)
from podkeeper.runtime.failures import NotFound, RuntimeFailure
from podkeeper.testing.scratch_engine import scratch_engine
from podkeeper.testing.scripted_runtime import Outcome, ScriptedRuntime


@dataclass
class World:
    """A runtime under test, with what the suite needs to know or do that the Protocol does not say."""

    runtime: RuntimeService
    image: str
    logs: str
    ending: Callable[[int], ContainerConfig]
    stubborn: Callable[[], ContainerConfig]
    kill_infra: Callable[[str], Awaitable[None]]

    def lasting(self, name: str = "main") -> ContainerConfig:
        """A container that runs until it is stopped, and ends at its stop signal."""
        script = "trap 'exit 143' TERM; touch /up; while :; do sleep 1000 & wait; done"
        return ContainerConfig(name, self.image, command=["sh", "-c", script], log_path=f"{name}/0.log")

    async def sandbox(self, uid: str = "uid-1") -> str:
        """A running sandbox."""
        return await self.runtime.run_sandbox(
            SandboxConfig("pod", "default", uid, attempt=2, log_directory=self.logs, labels={"a": "b"})
        )

    async def started(self, sandbox_id: str, config: ContainerConfig) -> str:
        """A started container."""
        container_id = await self.runtime.create_container(sandbox_id, config)
        await self.runtime.start_container(container_id)
        return container_id

    async def running(self, sandbox_id: str, config: ContainerConfig | None = None) -> str:
        """A started container that has come to the point where it listens to signals."""
        container_id = await self.started(sandbox_id, config or self.lasting())
        await self.runtime.exec_sync(container_id, ["sh", "-c", "until [ -e /up ]; do :; done"], 20)
        return container_id


@pytest.fixture(params=["engine", "scripted"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "scripted":
        yield scripted_world()
    else:
        if os.geteuid() != 0:
            pytest.skip("the engine needs root")
        async with scratch_engine(tmp_path) as scratch:
            yield engine_world(scratch.engine, scratch.image, scratch.logs)


def scripted_world() -> World:
    runtime = ScriptedRuntime()
    image = runtime.add_image("docker.io/library/busybox:latest")

    def ending(code: int) -> ContainerConfig:
        runtime.exit_when_started("ending", Outcome(code))
        return ContainerConfig("ending", image)

    def stubborn() -> ContainerConfig:
        runtime.stubborn.add("stubborn")
        return ContainerConfig("stubborn", image)

    async def kill_infra(sandbox_id: str) -> None:
        runtime.kill_sandbox(sandbox_id)

    return World(runtime, image, "/var/log/pods", ending, stubborn, kill_infra)


def engine_world(runtime: RuntimeService, image: str, logs: str) -> World:
    def shell(name: str, script: str) -> ContainerConfig:
        return ContainerConfig(name, image, command=["sh", "-c", script], log_path=f"{name}/0.log")

    async def kill_infra(sandbox_id: str) -> None:
        os.kill((await runtime.sandbox_status(sandbox_id)).pid, signal.SIGKILL)

    return World(
        runtime,
        image,
        logs,
        ending=lambda code: shell("ending", f"exit {code}"),
        stubborn=lambda: shell("stubborn", "trap '' TERM; touch /up; while :; do sleep 1000; done"),
        kill_infra=kill_infra,
    )


async def until(events: AsyncIterator[RuntimeEvent], kind: EventKind, container_id: str) -> None:
    """Waits for an event."""
    async with asyncio.timeout(20):
        async for event in events:
            if (event.kind, event.container_id) == (kind, container_id):
                return


async def ended(world: World, config: ContainerConfig) -> ContainerStatus:
    """Starts a container that ends by itself and returns what it became."""
    events = world.runtime.events()
    container_id = await world.started(await world.sandbox(), config)
    await until(events, EventKind.STOPPED, container_id)
    return await world.runtime.container_status(container_id)


async def test_a_sandbox_shows_what_it_was_asked_to_be(world: World) -> None:
    sandbox_id = await world.sandbox()
    status = await world.runtime.sandbox_status(sandbox_id)
    assert (status.name, status.namespace, status.uid, status.attempt) == ("pod", "default", "uid-1", 2)
    assert status.state is SandboxState.READY
    assert status.labels == {"a": "b"}
    assert status.pid > 0
    assert status.created_at > 0
    assert [each.id for each in await world.runtime.list_sandboxes()] == [sandbox_id]


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.runtime.sandbox_status("nothing")
    with pytest.raises(NotFound):
        await world.runtime.container_status("nothing")
    with pytest.raises(NotFound):
        await world.runtime.create_container("nothing", world.lasting())
    with pytest.raises(NotFound):
        await world.runtime.start_container("nothing")
    with pytest.raises(NotFound):
        await world.runtime.container_usage("nothing")


async def test_stopping_and_removing_what_is_not_there_succeeds(world: World) -> None:
    await world.runtime.stop_container("nothing", 1)
    await world.runtime.remove_container("nothing")
    await world.runtime.stop_sandbox("nothing")
    await world.runtime.remove_sandbox("nothing")


async def test_a_container_goes_from_created_to_running_to_exited(world: World) -> None:
    sandbox_id = await world.sandbox()
    container_id = await world.runtime.create_container(sandbox_id, world.lasting())
    created = await world.runtime.container_status(container_id)
    assert (created.state, created.started_at, created.pid) == (ContainerState.CREATED, 0, 0)
    assert created.log_path == f"{world.logs}/main/0.log"
    await world.runtime.start_container(container_id)
    await world.runtime.exec_sync(container_id, ["sh", "-c", "until [ -e /up ]; do :; done"], 20)
    running = await world.runtime.container_status(container_id)
    assert running.state is ContainerState.RUNNING
    assert running.pid > 0
    assert running.started_at >= running.created_at
    await world.runtime.stop_container(container_id, 10)
    exited = await world.runtime.container_status(container_id)
    assert (exited.state, exited.exit_code, exited.reason) == (ContainerState.EXITED, 143, "Error")
    assert exited.finished_at >= exited.started_at
    assert exited.pid == 0


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error")])
async def test_an_exit_code_and_its_reason_are_kept(world: World, code: int, reason: str) -> None:
    status = await ended(world, world.ending(code))
    assert (status.exit_code, status.reason) == (code, reason)


async def test_a_container_is_started_once(world: World) -> None:
    container_id = await world.running(await world.sandbox())
    with pytest.raises(RuntimeFailure):
        await world.runtime.start_container(container_id)


async def test_a_container_that_ignores_its_stop_signal_is_killed(world: World) -> None:
    container_id = await world.running(await world.sandbox(), world.stubborn())
    await world.runtime.stop_container(container_id, 0.2)
    assert (await world.runtime.container_status(container_id)).exit_code == 137


async def test_a_container_needs_an_image_and_a_ready_sandbox(world: World) -> None:
    sandbox_id = await world.sandbox()
    with pytest.raises(NotFound):
        await world.runtime.create_container(sandbox_id, ContainerConfig("main", f"sha256:{0:064x}"))
    await world.runtime.stop_sandbox(sandbox_id)
    with pytest.raises(RuntimeFailure, match="not ready"):
        await world.runtime.create_container(sandbox_id, world.lasting())


async def test_stopping_a_sandbox_ends_its_containers(world: World) -> None:
    sandbox_id = await world.sandbox()
    container_id = await world.running(sandbox_id)
    await world.runtime.stop_sandbox(sandbox_id)
    assert (await world.runtime.sandbox_status(sandbox_id)).state is SandboxState.NOTREADY
    status = await world.runtime.container_status(container_id)
    assert (status.state, status.exit_code) == (ContainerState.EXITED, 137)


async def test_removing_a_sandbox_removes_its_containers_and_no_others(world: World) -> None:
    first, second = await world.sandbox("uid-1"), await world.sandbox("uid-2")
    await world.running(first)
    other = await world.running(second)
    await world.runtime.remove_sandbox(first)
    assert [each.id for each in await world.runtime.list_sandboxes()] == [second]
    assert [each.id for each in await world.runtime.list_containers()] == [other]
    assert await world.runtime.list_containers(first) == []


async def test_removing_a_container_that_runs_kills_it_first(world: World) -> None:
    sandbox_id = await world.sandbox()
    events = world.runtime.events()
    container_id = await world.running(sandbox_id)
    await world.runtime.remove_container(container_id)
    await until(events, EventKind.STOPPED, container_id)
    await until(events, EventKind.DELETED, container_id)
    with pytest.raises(NotFound):
        await world.runtime.container_status(container_id)


async def test_removing_from_several_sides_at_once_removes_once(world: World) -> None:
    container_id = await world.running(await world.sandbox())
    events = world.runtime.events()
    await asyncio.gather(*(world.runtime.remove_container(container_id) for _ in range(3)))
    await until(events, EventKind.DELETED, container_id)
    assert await world.runtime.list_containers() == []


async def test_events_tell_a_whole_life_in_order(world: World) -> None:
    events = world.runtime.events()
    sandbox_id = await world.sandbox()
    container_id = await world.started(sandbox_id, world.ending(0))
    seen = []
    async with asyncio.timeout(20):
        async for event in events:
            seen.append(event)
            if event.kind is EventKind.STOPPED:
                break
    assert seen == [
        RuntimeEvent(EventKind.STARTED, sandbox_id, "uid-1"),
        RuntimeEvent(EventKind.CREATED, sandbox_id, "uid-1", container_id),
        RuntimeEvent(EventKind.STARTED, sandbox_id, "uid-1", container_id),
        RuntimeEvent(EventKind.STOPPED, sandbox_id, "uid-1", container_id),
    ]


async def test_a_sandbox_is_ready_as_long_as_its_infra_container_lives(world: World) -> None:
    sandbox_id, events = await world.sandbox(), world.runtime.events()
    container_id = await world.running(sandbox_id)
    await world.kill_infra(sandbox_id)
    await until(events, EventKind.STOPPED, "")
    assert (await world.runtime.sandbox_status(sandbox_id)).state is SandboxState.NOTREADY
    assert (await world.runtime.container_status(container_id)).state is ContainerState.RUNNING


async def test_changed_resources_show_in_the_status(world: World) -> None:
    container_id = await world.running(await world.sandbox())
    wanted = Resources(cpu_shares=512, memory_limit=64 << 20)
    await world.runtime.update_container(container_id, wanted)
    assert (await world.runtime.container_status(container_id)).resources == wanted


async def test_streams_need_a_running_container(world: World) -> None:
    container_id = await world.runtime.create_container(await world.sandbox(), world.lasting())
    with pytest.raises(RuntimeFailure):
        await world.runtime.attach(container_id)
    with pytest.raises(RuntimeFailure):
        await world.runtime.exec(container_id, ["true"], tty=False, stdin=False)
    with pytest.raises(RuntimeFailure):
        await world.runtime.exec_sync(container_id, ["true"])


async def test_a_command_that_succeeds_says_so(world: World) -> None:
    container_id = await world.running(await world.sandbox())
    assert (await world.runtime.exec_sync(container_id, ["true"], 20)).exit_code == 0
    process = await world.runtime.exec(container_id, ["true"], tty=False, stdin=False)
    assert await process.read() is None
    assert await process.wait() == 0
    await process.close()
    await process.close()


async def test_the_engine_says_what_it_is(world: World) -> None:
    info = await world.runtime.info()
    assert info.ready
    assert info.name
    assert info.handler
