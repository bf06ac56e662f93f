"""What the kernel shows of the engine's pods: namespaces, shared memory, limits, users, rights, ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from podkeeper.foundation.cgroups import open_cgroups
from podkeeper.runtime.cri import (
    ContainerConfig,
    ContainerSecurityContext,
    ContainerState,
    ContainerStatus,
    DNSConfig,
    EventKind,
    Mount,
    NamespaceMode,
    NamespaceOptions,
    Resources,
    SandboxConfig,
    SandboxSecurityContext,
    SecurityProfile,
)
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.podnetwork import PodNetworkError, PodNetworkRequest, PodNetworkStatus
from podkeeper.testing.scratch_engine import ScratchEngine, scratch_engine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers need root")
SHARED, OWN = ("net", "ipc", "uts"), ("mnt", "pid")


@pytest.fixture
async def scratch(tmp_path: Path) -> AsyncIterator[ScratchEngine]:
    async with scratch_engine(tmp_path) as opened:
        yield opened


def sandbox_config(scratch: ScratchEngine, uid: str = "uid-1", **options: NamespaceMode) -> SandboxConfig:
    namespaces = NamespaceOptions(**options)
    return SandboxConfig(
        "pod",
        "default",
        uid,
        hostname="pod-host",
        log_directory=scratch.logs,
        security=SandboxSecurityContext(namespaces),
    )


def shell(scratch: ScratchEngine, script: str = "exec sleep 1000", name: str = "main") -> ContainerConfig:
    return ContainerConfig(name, scratch.image, command=["sh", "-c", script], log_path=f"{name}/0.log")


async def start(scratch: ScratchEngine, sandbox_id: str, config: ContainerConfig) -> ContainerStatus:
    container_id = await scratch.engine.create_container(sandbox_id, config)
    await scratch.engine.start_container(container_id)
    return await scratch.engine.container_status(container_id)


async def run_to_end(scratch: ScratchEngine, sandbox_id: str, config: ContainerConfig) -> ContainerStatus:
    events = scratch.engine.events()
    container = await start(scratch, sandbox_id, config)
    async with asyncio.timeout(30):
        async for event in events:
            if event.kind is EventKind.STOPPED and event.container_id == container.id:
                break
    return await scratch.engine.container_status(container.id)


async def output(scratch: ScratchEngine, container: ContainerStatus, *command: str) -> str:
    result = await scratch.engine.exec_sync(container.id, command, 20)
    assert result.exit_code == 0, result
    return result.stdout.decode().strip()


def namespaces(pid: int, names: Sequence[str]) -> list[str]:
    return [os.readlink(f"/proc/{pid}/ns/{name}") for name in names]


def logged(container: ContainerStatus) -> list[tuple[str, str, str]]:
    """(stream, tag, text) per line of a CRI log."""
    rows = [line.split(" ", 3) for line in Path(container.log_path).read_text().splitlines()]
    return [(row[1], row[2], row[3]) for row in rows]


# Namespaces and what goes through them.


async def test_containers_of_a_pod_share_net_ipc_and_uts_and_own_mnt_and_pid(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    infra = (await scratch.engine.sandbox_status(sandbox_id)).pid
    one = await start(scratch, sandbox_id, shell(scratch, name="one"))
    two = await start(scratch, sandbox_id, shell(scratch, name="two"))
    assert namespaces(one.pid, SHARED) == namespaces(two.pid, SHARED) == namespaces(infra, SHARED)
    assert not set(namespaces(one.pid, SHARED)) & set(namespaces(os.getpid(), SHARED))
    everyone = [namespace for pid in (one.pid, two.pid, infra, os.getpid()) for namespace in namespaces(pid, OWN)]
    assert len(set(everyone)) == len(everyone)
    assert await output(scratch, one, "hostname") == "pod-host"


async def test_a_shared_process_namespace_has_pause_as_its_first_process(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch, pid=NamespaceMode.POD))
    shared = ContainerSecurityContext(namespaces=NamespaceOptions(pid=NamespaceMode.POD))
    one = await start(scratch, sandbox_id, replace(shell(scratch, name="one"), security=shared))
    two = await start(scratch, sandbox_id, replace(shell(scratch, name="two"), security=shared))
    assert namespaces(one.pid, ["pid"]) == namespaces(two.pid, ["pid"])
    assert "1 root     /pause" in await output(scratch, one, "ps")


async def test_pause_collects_orphans_of_a_shared_process_namespace(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch, pid=NamespaceMode.POD))
    shared = ContainerSecurityContext(namespaces=NamespaceOptions(pid=NamespaceMode.POD))
    one = await start(scratch, sandbox_id, replace(shell(scratch), security=shared))
    await output(scratch, one, "sh", "-c", "for i in 1 2 3; do (sh -c 'sleep 0.05 &' &); done")
    async with asyncio.timeout(10):  # a collected zombie makes no event
        while "sleep 0.05" in (table := await output(scratch, one, "ps")) or "[sleep]" in table:
            pass


async def test_a_node_namespace_is_the_nodes(scratch: ScratchEngine) -> None:
    everywhere = {"network": NamespaceMode.NODE, "ipc": NamespaceMode.NODE, "pid": NamespaceMode.NODE}
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch, **everywhere))
    security = ContainerSecurityContext(namespaces=NamespaceOptions(**everywhere))
    one = await start(scratch, sandbox_id, replace(shell(scratch), security=security))
    names = (*SHARED, "pid")
    assert namespaces(one.pid, names) == namespaces(os.getpid(), names)


async def test_a_container_can_join_anothers_processes(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    target = await start(scratch, sandbox_id, shell(scratch, name="target"))
    options = NamespaceOptions(pid=NamespaceMode.TARGET, target_id=target.id)
    debug = replace(shell(scratch, name="debug"), security=ContainerSecurityContext(namespaces=options))
    joined = await start(scratch, sandbox_id, debug)
    assert namespaces(joined.pid, ["pid"]) == namespaces(target.pid, ["pid"])


async def test_shared_memory_is_one_for_the_pod_and_its_own(scratch: ScratchEngine) -> None:
    first = await scratch.engine.run_sandbox(sandbox_config(scratch, "uid-1"))
    second = await scratch.engine.run_sandbox(sandbox_config(scratch, "uid-2"))
    one = await start(scratch, first, shell(scratch, name="one"))
    two = await start(scratch, first, shell(scratch, name="two"))
    other = await start(scratch, second, shell(scratch, name="other"))
    await output(scratch, one, "sh", "-c", "echo hello > /dev/shm/word")
    assert await output(scratch, two, "cat", "/dev/shm/word") == "hello"
    assert await output(scratch, other, "ls", "/dev/shm") == ""
    assert "65536" in await output(scratch, two, "df", "-k", "/dev/shm")


async def test_a_semaphore_made_in_one_container_is_seen_in_the_other(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    one = await start(scratch, sandbox_id, shell(scratch, name="one"))
    two = await start(scratch, sandbox_id, shell(scratch, name="two"))
    make = "import ctypes; assert ctypes.CDLL(None).semget(0x504B, 1, 0o1600) >= 0"
    command = ["nsenter", f"--ipc=/proc/{one.pid}/ns/ipc", sys.executable, "-c", make]
    await asyncio.to_thread(subprocess.run, command, check=True)
    assert str(0x504B) in (await output(scratch, two, "cat", "/proc/sysvipc/sem")).split()
    assert ctypes.CDLL(None).semget(0x504B, 1, 0) == -1


# Users and rights.


async def test_the_user_is_looked_up_in_the_image(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    security = ContainerSecurityContext(run_as_username="web", supplemental_groups=(300,))
    one = await start(scratch, sandbox_id, replace(shell(scratch), security=security, working_dir="/made/for/it"))
    assert await output(scratch, one, "id") == "uid=100(web) gid=101(web) groups=200(extra),300"
    assert await output(scratch, one, "pwd") == "/made/for/it"
    assert await output(scratch, one, "sh", "-c", "echo $HOME") == "/home/web"
    assert one.user == (100, 101, (200, 300))


async def test_an_unknown_user_is_refused_before_anything_runs(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    security = ContainerSecurityContext(run_as_username="nobody-here")
    with pytest.raises(RuntimeFailure, match="no user named 'nobody-here'"):
        await scratch.engine.create_container(sandbox_id, replace(shell(scratch), security=security))
    assert await scratch.engine.list_containers() == []
    assert scratch.images.snapshots.list() == {}


async def test_rights_are_dockers_default_set_unless_asked_otherwise(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    security = ContainerSecurityContext(
        drop_capabilities=["ALL"], add_capabilities=["NET_BIND_SERVICE"], no_new_privs=True, readonly_rootfs=True
    )
    usual = await start(scratch, sandbox_id, shell(scratch, name="usual"))
    tight = await start(scratch, sandbox_id, replace(shell(scratch, name="tight"), security=security))
    assert status(usual.pid, "CapEff") == "00000000a80425fb"
    assert status(tight.pid, "CapEff") == f"{1 << 10:016x}"
    assert (status(usual.pid, "NoNewPrivs"), status(tight.pid, "NoNewPrivs")) == ("0", "1")
    refused = await scratch.engine.exec_sync(tight.id, ["touch", "/file"], 20)
    assert b"Read-only file system" in refused.stderr


async def test_the_default_profile_filters_and_is_compiled_once(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    free = ContainerSecurityContext(seccomp=SecurityProfile("Unconfined"))
    one = await start(scratch, sandbox_id, shell(scratch, name="one"))
    two = await start(scratch, sandbox_id, shell(scratch, name="two"))
    three = await start(scratch, sandbox_id, replace(shell(scratch, name="three"), security=free))
    assert [status(each.pid, "Seccomp") for each in (one, two, three)] == ["2", "2", "0"]
    for container in (one, two):
        refused = await scratch.engine.exec_sync(container.id, ["unshare", "-r", "true"], 20)
        assert b"Operation not permitted" in refused.stderr
    compiled = list((scratch.directory / "engine" / "filters").iterdir())
    assert len(compiled) == (1 if (await scratch.engine.info()).handler == "crun" else 0)


async def test_a_privileged_container_has_every_right_that_we_have(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    security = ContainerSecurityContext(privileged=True)
    one = await start(scratch, sandbox_id, replace(shell(scratch), security=security))
    assert status(one.pid, "CapEff") == status(os.getpid(), "CapPrm")
    assert status(one.pid, "Seccomp") == "0"
    await output(scratch, one, "sh", "-c", "mkdir -p /m && mount -t tmpfs none /m && test -w /proc/sys/kernel/hostname")


def status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{name}:"))


async def test_a_left_behind_process_ends_with_its_container(scratch: ScratchEngine) -> None:
    """In a shared process namespace nothing but the engine ends what a container has left behind."""
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch, pid=NamespaceMode.POD))
    shared = ContainerSecurityContext(namespaces=NamespaceOptions(pid=NamespaceMode.POD))
    other = await start(scratch, sandbox_id, replace(shell(scratch, name="other"), security=shared))
    leaving = replace(shell(scratch, "sleep 999 & exit 3", name="leaving"), security=shared)
    assert (await run_to_end(scratch, sandbox_id, leaving)).exit_code == 3
    async with asyncio.timeout(10):
        while "sleep 999" in await output(scratch, other, "ps"):
            pass


async def test_a_runtime_handler_that_is_not_there_is_refused(scratch: ScratchEngine) -> None:
    handler = (await scratch.engine.info()).handler
    await scratch.engine.run_sandbox(replace(sandbox_config(scratch), runtime_handler=handler))
    with pytest.raises(RuntimeFailure, match="no runtime handler named 'kata'"):
        await scratch.engine.run_sandbox(replace(sandbox_config(scratch), runtime_handler="kata"))


# Files.


async def test_files_of_the_pod_and_volumes_are_mounted(scratch: ScratchEngine) -> None:
    (scratch.directory / "volume" / "below").mkdir(parents=True)
    (scratch.directory / "hosts").write_text("127.0.0.1 localhost pod-host\n")
    config = replace(
        sandbox_config(scratch), dns=DNSConfig(["10.0.0.10"], ["svc.cluster.local", "cluster.local"], ["ndots:5"])
    )
    sandbox_id = await scratch.engine.run_sandbox(config)
    volumes = [
        Mount("/data/below/read-only", str(scratch.directory / "volume" / "below"), readonly=True),
        Mount("/data", str(scratch.directory / "volume")),
        Mount("/etc/hosts", str(scratch.directory / "hosts")),
    ]
    one = await start(scratch, sandbox_id, replace(shell(scratch), mounts=volumes))
    expected = "nameserver 10.0.0.10\nsearch svc.cluster.local cluster.local\noptions ndots:5"
    assert await output(scratch, one, "cat", "/etc/resolv.conf") == expected
    assert await output(scratch, one, "cat", "/etc/hostname") == "pod-host"
    assert "pod-host" in await output(scratch, one, "cat", "/etc/hosts")
    await output(scratch, one, "sh", "-c", "echo written > /data/file")
    assert (scratch.directory / "volume" / "file").read_text() == "written\n"
    refused = await scratch.engine.exec_sync(one.id, ["touch", "/data/below/read-only/file"], 20)
    assert b"Read-only file system" in refused.stderr


# Limits.


async def test_limits_are_in_the_control_groups(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    limits = Resources(cpu_shares=512, cpu_quota=50_000, cpu_period=100_000, memory_limit=64 << 20, pids_limit=40)
    one = await start(scratch, sandbox_id, replace(shell(scratch), resources=limits))
    before = kernel_limits(one.pid)
    assert before == {"memory": 64 << 20, "pids": 40, "quota": 50_000}
    await scratch.engine.update_container(one.id, Resources(memory_limit=128 << 20, cpu_quota=70_000))
    assert kernel_limits(one.pid) == {"memory": 128 << 20, "pids": 40, "quota": 70_000}
    usage = await scratch.engine.container_usage(one.id)
    assert usage.memory_usage > 0
    assert usage.cpu_ns > 0
    assert usage.pids == 1
    assert (await scratch.engine.sandbox_usage(sandbox_id)).pids == 1


def kernel_limits(pid: int) -> dict[str, int]:
    """The limits of the process's own groups, on any version."""
    layout = open_cgroups().layout  # type: ignore[attr-defined]
    paths = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        paths |= dict.fromkeys(names.split(","), path.lstrip("/"))
    if not layout.controllers:
        group = layout.unified / paths[""]
        quota = (group / "cpu.max").read_text().split()[0]
        found = [(group / "memory.max").read_text(), (group / "pids.max").read_text(), quota]
    else:
        files = {"memory": "memory.limit_in_bytes", "pids": "pids.max", "cpu": "cpu.cfs_quota_us"}
        found = [(layout.controllers[name] / paths[name] / file).read_text() for name, file in files.items()]
    return dict(zip(("memory", "pids", "quota"), map(int, found), strict=True))


async def test_a_memory_hog_is_oom_killed_with_137(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    hog = replace(
        shell(scratch, "exec dd if=/dev/zero of=/dev/null bs=200M count=1"), resources=Resources(memory_limit=20 << 20)
    )
    ended = await run_to_end(scratch, sandbox_id, hog)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


# Ends and beginnings.


async def test_a_command_that_cannot_be_executed_is_a_start_error(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    config = ContainerConfig("main", scratch.image, command=["/bin/no-such-program"], log_path="main/0.log")
    container_id = await scratch.engine.create_container(sandbox_id, config)
    with pytest.raises(RuntimeFailure, match="no-such-program"):
        await scratch.engine.start_container(container_id)
    failed = await scratch.engine.container_status(container_id)
    assert (failed.state, failed.exit_code, failed.reason) == (ContainerState.EXITED, 128, "StartError")
    assert "no-such-program" in failed.message
    await scratch.engine.remove_container(container_id)


async def test_a_process_ended_by_a_signal_has_128_more(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    events = scratch.engine.events()
    one = await start(scratch, sandbox_id, shell(scratch))
    os.kill(one.pid, signal.SIGKILL)  # the only one that reaches the first process of a namespace without its consent
    async with asyncio.timeout(20):
        async for event in events:
            if event.kind is EventKind.STOPPED:
                break
    assert (await scratch.engine.container_status(one.id)).exit_code == 128 + signal.SIGKILL


async def test_a_killed_monitor_takes_its_container_along(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    events = scratch.engine.events()
    one = await start(scratch, sandbox_id, shell(scratch))
    monitor = int((scratch.directory / "engine" / "containers" / one.id / "conmon.pid").read_text())
    os.kill(monitor, signal.SIGKILL)
    async with asyncio.timeout(20):
        async for event in events:
            if event.kind is EventKind.STOPPED:
                break
    ended = await scratch.engine.container_status(one.id)
    assert (ended.state, ended.exit_code) == (ContainerState.EXITED, 137)
    assert "monitor" in ended.message


async def test_a_stop_signal_of_ones_own_is_sent(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    script = "trap 'exit 9' USR1; touch /up; while :; do sleep 1000 & wait; done"
    one = await start(scratch, sandbox_id, replace(shell(scratch, script), stop_signal="SIGUSR1"))
    await output(scratch, one, "sh", "-c", "until [ -e /up ]; do :; done")
    await scratch.engine.stop_container(one.id, 20)
    assert (await scratch.engine.container_status(one.id)).exit_code == 9


async def test_a_container_that_has_only_just_started_hears_that_it_is_to_stop(scratch: ScratchEngine) -> None:
    sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
    script = "sleep 0.3; trap 'exit 9' TERM; while :; do sleep 1000 & wait; done"
    one = await start(scratch, sandbox_id, shell(scratch, script))
    async with asyncio.timeout(10):
        await scratch.engine.stop_container(one.id, 60)
    assert (await scratch.engine.container_status(one.id)).exit_code == 9


class BrokenNetwork:
    """A pod network that can connect nobody."""

    async def add(self, request: PodNetworkRequest) -> PodNetworkStatus:
        raise PodNetworkError("no addresses left")

    async def check(self, request: PodNetworkRequest) -> PodNetworkStatus | None:
        return None

    async def delete(self, request: PodNetworkRequest) -> None:
        return


async def test_a_sandbox_without_network_leaves_nothing(tmp_path: Path) -> None:
    async with scratch_engine(tmp_path, network=BrokenNetwork(), cgroup="/podkeeper-broken-network") as scratch:
        with pytest.raises(RuntimeFailure, match="no addresses left"):
            await scratch.engine.run_sandbox(sandbox_config(scratch))
        assert await scratch.engine.list_sandboxes() == []
        assert list((tmp_path / "engine" / "sandboxes").iterdir()) == []
        assert open_cgroups().processes("/podkeeper-broken-network") == []


async def test_the_slower_runtime_does_as_well(tmp_path: Path) -> None:
    async with scratch_engine(tmp_path, oci_runtime="runc") as scratch:
        assert (await scratch.engine.info()).handler == "runc"
        sandbox_id = await scratch.engine.run_sandbox(sandbox_config(scratch))
        ended = await run_to_end(scratch, sandbox_id, shell(scratch, "echo out; echo err >&2; exit 5"))
        assert ended.exit_code == 5
        assert sorted(logged(ended)) == [("stderr", "F", "err"), ("stdout", "F", "out")]
        config = ContainerConfig("broken", scratch.image, command=["/bin/no-such-program"])
        container_id = await scratch.engine.create_container(sandbox_id, config)
        with pytest.raises(RuntimeFailure, match="no-such-program"):
            await scratch.engine.start_container(container_id)
