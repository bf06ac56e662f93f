"""Containers outlive the engine: a new one takes them up, and a sweep finds them without any."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from podkeeper.foundation import mounts
from podkeeper.foundation.cgroups import open_cgroups
from podkeeper.runtime.cri import ContainerConfig, ContainerState, SandboxConfig, SandboxState
from podkeeper.runtime.engine import Engine, EngineConfig, sweep
from podkeeper.runtime.engine.processes import ProcessIdentity
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig
from podkeeper.testing.scratch_engine import IMAGE, busybox_archive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")
GROUP = f"/podkeeper-adoption-{os.getpid()}"

HOLDER = """
import asyncio, json, sys
from pathlib import Path
from podkeeper.runtime.cri import ContainerConfig, SandboxConfig
from podkeeper.runtime.engine import Engine, EngineConfig
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

async def main(root, group, reference):
    images = ImageStore(ImageStoreConfig(root / "images"))
    engine = await Engine.open(EngineConfig(root / "engine", group), None, images)
    image = (await images.image_status(reference)).id
    sandbox = await engine.run_sandbox(SandboxConfig("pod", "default", "uid-1", log_directory=str(root / "logs")))
    dead = await engine.run_sandbox(SandboxConfig("dead", "default", "uid-2"))
    ids = {}
    for name in ("staying", "ending", "created"):
        script = "trap 'exit 7' TERM; echo up; touch /up; while :; do sleep 1 & wait; done"
        config = ContainerConfig(name, image, command=["sh", "-c", script], log_path=name + ".log")
        ids[name] = await engine.create_container(sandbox, config)
        if name != "created":
            await engine.start_container(ids[name])
            await engine.exec_sync(ids[name], ["sh", "-c", "until [ -e /up ]; do :; done"], 20)
    pids = {name: (await engine.container_status(each)).pid for name, each in ids.items()}
    infra = {each: (await engine.sandbox_status(each)).pid for each in (sandbox, dead)}
    print(json.dumps({"sandbox": sandbox, "dead": dead, "ids": ids, "pids": pids, "infra": infra}), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


@pytest.fixture
async def images(tmp_path: Path) -> AsyncIterator[ImageStore]:
    store = ImageStore(ImageStoreConfig(tmp_path / "images"))
    await store.import_archive(busybox_archive(tmp_path))
    try:
        yield store
    finally:
        await sweep(tmp_path / "engine")
        await store.snapshots.sweep()
        await store.close()


@asynccontextmanager
async def opened(root: Path, images: ImageStore) -> AsyncIterator[Engine]:
    engine = await Engine.open(EngineConfig(root / "engine", GROUP), None, images)
    try:
        yield engine
    finally:
        await engine.close()


async def killed_holder(root: Path) -> dict[str, Any]:
    """Runs an engine in a process of its own, kills that with SIGKILL, and returns what it had made."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, root, GROUP, IMAGE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        line = await asyncio.wait_for(holder.stdout.readline(), 30)
    finally:
        holder.kill()
        await holder.wait()
    told: dict[str, Any] = json.loads(line)
    return told


async def end(pid: int, number: int) -> None:
    """Signals a process and waits for its end."""
    descriptor = os.pidfd_open(pid)
    os.kill(pid, number)
    assert await asyncio.to_thread(select.select, [descriptor], [], [], 20) == ([descriptor], [], [])
    os.close(descriptor)


def runs(pid: int) -> bool:
    """Whether a process runs still; one that only waits to be collected by its parent does not."""
    try:
        return ProcessIdentity.of(pid).alive()
    except ProcessLookupError:
        return False


async def monitor_ended(root: Path, container_id: str) -> None:
    """Waits until a container's monitor has written what it knows and is gone."""
    try:
        descriptor = os.pidfd_open(int((root / "engine" / "containers" / container_id / "conmon.pid").read_text()))
    except ProcessLookupError:
        return
    assert await asyncio.to_thread(select.select, [descriptor], [], [], 20) == ([descriptor], [], [])
    os.close(descriptor)


async def test_a_new_engine_adopts_what_runs_and_learns_what_has_ended(tmp_path: Path, images: ImageStore) -> None:
    told = await killed_holder(tmp_path)
    await end(told["pids"]["ending"], signal.SIGTERM)
    await monitor_ended(tmp_path, told["ids"]["ending"])
    await end(told["infra"][told["dead"]], signal.SIGKILL)
    async with opened(tmp_path, images) as engine:
        pod = await engine.sandbox_status(told["sandbox"])
        assert (pod.state, pod.pid) == (SandboxState.READY, told["infra"][told["sandbox"]])
        assert (await engine.sandbox_status(told["dead"])).state is SandboxState.NOTREADY
        staying = await engine.container_status(told["ids"]["staying"])
        assert (staying.state, staying.pid) == (ContainerState.RUNNING, told["pids"]["staying"])
        ending = await engine.container_status(told["ids"]["ending"])
        assert (ending.state, ending.exit_code) == (ContainerState.EXITED, 7)
        assert ending.finished_at > staying.started_at
        created = told["ids"]["created"]
        assert (await engine.container_status(created)).state is ContainerState.CREATED
        await engine.start_container(created)
        assert (await engine.exec_sync(created, ["true"], 20)).exit_code == 0
        events = engine.events()
        await engine.stop_container(staying.id, 20)
        assert (await anext(events)).container_id == staying.id
        assert (await engine.container_status(staying.id)).exit_code == 7
        assert Path(staying.log_path).read_text().endswith("stdout F up\n")


@pytest.mark.parametrize("running", [True, False])
async def test_a_start_that_the_kill_interrupted_loses_no_exit_code(
    tmp_path: Path, images: ImageStore, running: bool
) -> None:
    told = await killed_holder(tmp_path)
    directory = tmp_path / "engine" / "containers" / told["ids"]["staying"]
    tree = json.loads((directory / "record.json").read_text())
    (directory / "record.json").write_text(json.dumps(tree | {"started_at": 0, "monitor": None, "process": None}))
    if not running:
        await end(told["pids"]["staying"], signal.SIGKILL)
        await monitor_ended(tmp_path, told["ids"]["staying"])
    async with opened(tmp_path, images) as engine:
        status = await engine.container_status(told["ids"]["staying"])
        if running:
            assert (status.state, status.pid) == (ContainerState.RUNNING, told["pids"]["staying"])
            await engine.stop_container(status.id, 0)
        else:
            assert (status.state, status.reason, status.exit_code) == (ContainerState.EXITED, "Error", 137)
        await engine.remove_container(status.id)


async def test_what_had_not_begun_when_the_engine_was_killed_may_be_started_still(
    tmp_path: Path, images: ImageStore
) -> None:
    told = await killed_holder(tmp_path)
    directory = tmp_path / "engine" / "containers" / told["ids"]["created"]
    (directory / "conmon.pid").write_text("1")  # a monitor was being started; the number is another program's by now
    async with opened(tmp_path, images) as engine:
        status = await engine.container_status(told["ids"]["created"])
        assert status.state is ContainerState.CREATED
        await engine.start_container(status.id)
        assert (await engine.exec_sync(status.id, ["true"], 20)).exit_code == 0
        await engine.remove_container(status.id)


async def test_a_process_that_has_taken_over_an_old_id_is_not_adopted(tmp_path: Path, images: ImageStore) -> None:
    told = await killed_holder(tmp_path)
    record = tmp_path / "engine" / "sandboxes" / told["sandbox"] / "record.json"
    tree = json.loads(record.read_text())
    tree["infra"]["start"] -= 1
    record.write_text(json.dumps(tree))
    async with opened(tmp_path, images) as engine:
        assert (await engine.sandbox_status(told["sandbox"])).state is SandboxState.NOTREADY


async def test_half_made_things_are_removed_at_the_next_start(tmp_path: Path, images: ImageStore) -> None:
    await killed_holder(tmp_path)
    engine_root = tmp_path / "engine"
    for parent in ("sandboxes", "containers"):
        (engine_root / parent / "half-made").mkdir()
    (engine_root / "containers" / "half-made" / "record.json").write_text('{"id": "half')
    async with opened(tmp_path, images) as engine:
        assert "half-made" not in {each.id for each in await engine.list_containers()}
        assert not (engine_root / "sandboxes" / "half-made").exists()
        assert not (engine_root / "containers" / "half-made").exists()
        assert len(await engine.list_containers()) == 3


async def test_a_sweep_leaves_no_process_mount_group_or_file(tmp_path: Path, images: ImageStore) -> None:
    told = await killed_holder(tmp_path)
    pids = [pid for pid in (*told["pids"].values(), *told["infra"].values()) if pid]
    monitors = [int(file.read_text()) for file in (tmp_path / "engine" / "containers").glob("*/conmon.pid")]
    assert len(monitors) == 2
    await sweep(tmp_path / "engine")
    assert not any(runs(pid) for pid in (*pids, *monitors))
    assert not open_cgroups().exists(GROUP)
    assert mounts.mounts_below(tmp_path / "engine") == []
    assert not (tmp_path / "engine").exists()
    await sweep(tmp_path / "engine")


async def test_a_directory_belongs_to_one_engine_at_a_time(tmp_path: Path, images: ImageStore) -> None:
    async with opened(tmp_path, images):
        with pytest.raises(RuntimeFailure, match="another engine"):
            await Engine.open(EngineConfig(tmp_path / "engine", GROUP), None, images)
        with pytest.raises(RuntimeFailure, match="another engine"):
            await sweep(tmp_path / "engine")


async def test_reset_removes_everything_of_an_open_engine(tmp_path: Path, images: ImageStore) -> None:
    engine = await Engine.open(EngineConfig(tmp_path / "engine", GROUP), None, images)
    image = await images.image_status(IMAGE)
    assert image is not None
    sandbox_id = await engine.run_sandbox(SandboxConfig("pod", "default", "uid-1"))
    container_id = await engine.create_container(
        sandbox_id, ContainerConfig("main", image.id, command=["sleep", "1000"])
    )
    await engine.start_container(container_id)
    pid = (await engine.container_status(container_id)).pid
    await engine.reset()
    assert not runs(pid)
    assert not open_cgroups().exists(GROUP)
    assert not (tmp_path / "engine").exists()
    assert images.snapshots.list() == {}


async def test_a_sweep_removes_the_groups_of_an_earlier_name_too(tmp_path: Path, images: ImageStore) -> None:
    async with opened(tmp_path, images) as engine:
        await engine.run_sandbox(SandboxConfig("pod", "default", "uid-1"))
    moved = await Engine.open(EngineConfig(tmp_path / "engine", f"{GROUP}-moved"), None, images)
    await moved.close()
    await sweep(tmp_path / "engine")
    assert not open_cgroups().exists(GROUP)
    assert not open_cgroups().exists(f"{GROUP}-moved")
