"""Sandboxes: an infra container each, created first, which owns the namespaces, and the files that containers share.

    run --> READY --infra container dies, or stop--> NOTREADY --remove--> gone

A sandbox is READY exactly while its infra container lives: the state is asked of the kernel (a pidfd), never stored.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.foundation import mounts
from podkeeper.runtime.cri import DNSConfig, EventKind, NamespaceMode, SandboxConfig, SandboxState, SandboxStatus
from podkeeper.runtime.engine.directories import remove_directory
from podkeeper.runtime.engine.oci_runtime import OciRuntime
from podkeeper.runtime.engine.processes import ExitWatch, uninterrupted
from podkeeper.runtime.engine.records import SandboxRecord, new_id, save
from podkeeper.runtime.engine.spec import bundle
from podkeeper.runtime.engine.spec.mounts import SandboxFiles
from podkeeper.runtime.engine.tools import Tools
from podkeeper.runtime.failures import NotFound, RuntimeFailure
from podkeeper.runtime.podnetwork import PodNetwork, PodNetworkError, PodNetworkRequest

_SHM_OPTIONS = "mode=1777,size=65536k"
_log = logging.getLogger(__name__)


class Sandbox(Struct):
    """One sandbox in memory: its record and, once started, the watch over its infra container."""

    record: SandboxRecord
    watch: ExitWatch | None = None

    @property
    def ready(self) -> bool:
        """Whether the infra container lives and the sandbox was not stopped."""
        return self.watch is not None and self.watch.alive and not self.record.stopped


class Sandboxes:
    """Every sandbox of the engine. ``network`` None leaves sandboxes with a loopback alone."""

    def __init__(self, tools: Tools, network: PodNetwork | None) -> None:
        self._tools, self._network = tools, network
        self._sandboxes: dict[str, Sandbox] = {}

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(tuple(self._sandboxes.values()))

    def get(self, sandbox_id: str) -> Sandbox:
        """Raises NotFound."""
        try:
            return self._sandboxes[sandbox_id]
        except KeyError:
            raise NotFound(f"sandbox {sandbox_id} is not known") from None

    def find(self, sandbox_id: str) -> Sandbox | None:
        """The sandbox, or None."""
        return self._sandboxes.get(sandbox_id)

    def files(self, record: SandboxRecord) -> SandboxFiles:
        """What containers of the sandbox get to see of it."""
        directory = self._tools.directories.sandbox(record.id)
        node_ipc = record.config.security.namespaces.ipc is NamespaceMode.NODE
        shm = Path("/dev/shm") if node_ipc else directory / "shm"  # noqa: S108 - the node's, asked for by hostIPC
        return SandboxFiles(shm, directory / "resolv.conf", directory / "hostname")

    async def run(self, config: SandboxConfig) -> str:
        """Makes a sandbox that is READY, or nothing at all."""
        self._check_handler(config.runtime_handler)
        sandbox_id = new_id()
        parent = config.cgroup_parent or f"{self._tools.config.cgroup}/pods/{config.uid}"
        handler, cgroup = self._tools.runtimes.current.name, f"{parent.rstrip('/')}/{sandbox_id}"
        record = SandboxRecord(sandbox_id, config, self._tools.now(), handler, cgroup)
        try:
            sandbox = await self._start(record, parent)
        except BaseException:
            await self._discard(record)
            raise
        self._sandboxes[sandbox_id] = sandbox
        self._tools.announce(EventKind.STARTED, sandbox_id, config.uid)
        return sandbox_id

    def _check_handler(self, wanted: str) -> None:
        """A RuntimeClass may name the OCI runtime that is in use, and no other."""
        present = self._tools.runtimes.current.name
        if wanted not in ("", present):
            raise RuntimeFailure(f"no runtime handler named {wanted!r} on this node: it has {present}")

    async def _start(self, record: SandboxRecord, parent: str) -> Sandbox:
        directory = self._tools.directories.sandbox(record.id)
        directory.mkdir(mode=0o700)
        self._write_files(record, directory)
        if not self._tools.cgroups.exists(parent):
            self._tools.cgroups.create(parent)
        spec = bundle.of_sandbox(record.config, self._tools.directories.pause, record.cgroup)
        (directory / "config.json").write_text(json.dumps(spec))
        record = await self._tools.runtimes.attempt(record.handler, lambda runtime: self._start_infra(record, runtime))
        record = replace(record, ips=await self._connect(record))
        save(directory, record)
        return Sandbox(record, self._watch(record))

    async def _start_infra(self, record: SandboxRecord, runtime: OciRuntime) -> SandboxRecord:
        """The record with its infra container's process, written before and after: a kill between leaves no riddle."""
        directory = self._tools.directories.sandbox(record.id)
        record = replace(record, handler=runtime.name)
        save(directory, record)
        record = replace(record, infra=await uninterrupted(runtime.run_detached(record.id, directory)))
        save(directory, record)
        return record

    def _watch(self, record: SandboxRecord) -> ExitWatch | None:
        sandbox_id, pod = record.id, record.config.uid
        if record.infra is None:
            return None
        return ExitWatch(record.infra, lambda: self._tools.announce(EventKind.STOPPED, sandbox_id, pod))

    def _write_files(self, record: SandboxRecord, directory: Path) -> None:
        files = self.files(record)
        files.resolv_conf.write_text(resolv_conf(record.config.dns))
        files.hostname.write_text(f"{hostname(record.config)}\n")
        for file in (files.resolv_conf, files.hostname):
            file.chmod(0o644)
        if files.shm == directory / "shm":
            files.shm.mkdir()
            flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
            mounts.mount("shm", files.shm, "tmpfs", flags, _SHM_OPTIONS)

    def _request(self, record: SandboxRecord) -> PodNetworkRequest | None:
        """None for a sandbox that uses the node's network, or when there is no pod network."""
        config = record.config
        if self._network is None or config.security.namespaces.network is NamespaceMode.NODE:
            return None
        return PodNetworkRequest(
            sandbox_id=record.id,
            namespace=config.namespace,
            name=config.name,
            uid=config.uid,
            netns=f"/proc/{record.infra.pid if record.infra else 0}/ns/net",
            port_mappings=config.port_mappings,
            annotations=config.annotations,
        )

    async def _connect(self, record: SandboxRecord) -> tuple[str, ...]:
        request = self._request(record)
        if request is None or self._network is None:
            return ()
        try:
            return (await self._network.add(request)).ips
        except PodNetworkError as error:
            raise RuntimeFailure(
                f"cannot connect sandbox {record.config.namespace}/{record.config.name}: {error}"
            ) from error

    async def _disconnect(self, record: SandboxRecord) -> None:
        request = self._request(record)
        if request is None or self._network is None:
            return
        try:
            await self._network.delete(request)
        except PodNetworkError as error:
            raise RuntimeFailure(f"cannot free the network of sandbox {record.id}: {error}") from error

    async def stop(self, sandbox_id: str) -> None:
        """Frees the network and kills the infra container. Its containers must have ended. Silent when it is gone."""
        sandbox = self.find(sandbox_id)
        if sandbox is None or (sandbox.record.stopped and not (sandbox.watch and sandbox.watch.alive)):
            return
        await self._disconnect(sandbox.record)
        sandbox.record = replace(sandbox.record, stopped=True)
        save(self._tools.directories.sandbox(sandbox_id), sandbox.record)
        if sandbox.watch is not None:
            sandbox.watch.signal(signal.SIGKILL)
            await sandbox.watch.wait()

    async def remove(self, sandbox_id: str) -> None:
        """Stops it and removes what is left. Silent when it is gone."""
        sandbox = self.find(sandbox_id)
        if sandbox is None:
            return
        await self.stop(sandbox_id)
        await self._erase(sandbox.record)
        del self._sandboxes[sandbox_id]
        self._tools.announce(EventKind.DELETED, sandbox_id, sandbox.record.config.uid)

    async def _discard(self, record: SandboxRecord) -> None:
        """Undoes a start that failed; a second fault is logged, the first one is what the caller gets."""
        try:
            await self._disconnect(record)
            await self._erase(record)
        except (OSError, RuntimeFailure) as error:
            _log.warning("sandbox %s: cannot undo its failed start: %s", record.id, error)

    async def _erase(self, record: SandboxRecord) -> None:
        directory = self._tools.directories.sandbox(record.id)
        await self._tools.runtimes.delete(record.id, directory)
        await self._tools.cgroups.remove(record.cgroup)
        if not record.config.cgroup_parent:
            await self._tools.cgroups.remove(record.cgroup.rpartition("/")[0])
        with contextlib.suppress(OSError):  # not mounted: it has the node's, or the machine was started anew
            mounts.unmount(directory / "shm")
        remove_directory(directory)

    # After a restart of the engine.

    async def adopt(self, record: SandboxRecord) -> None:
        """Takes up a sandbox of an earlier engine; one that had not come to life is removed."""
        if record.infra is None:
            await self._discard(record)
        else:
            self._sandboxes[record.id] = Sandbox(record, self._watch(record))

    def release(self) -> None:
        """Stops watching; the infra containers live on."""
        for sandbox in self:
            if sandbox.watch is not None:
                sandbox.watch.close()

    def status(self, sandbox: Sandbox) -> SandboxStatus:
        """The CRI's view."""
        record, config = sandbox.record, sandbox.record.config
        return SandboxStatus(
            id=record.id,
            name=config.name,
            namespace=config.namespace,
            uid=config.uid,
            attempt=config.attempt,
            state=SandboxState.READY if sandbox.ready else SandboxState.NOTREADY,
            created_at=record.created_at,
            ips=record.ips,
            pid=record.infra.pid if record.infra and sandbox.ready else 0,
            labels=config.labels,
            annotations=config.annotations,
            runtime_handler=config.runtime_handler,
        )


def hostname(config: SandboxConfig) -> str:
    """The name inside the sandbox: its own, or the node's where the network is the node's."""
    if config.security.namespaces.network is NamespaceMode.NODE or not config.hostname:
        return socket.gethostname()
    return config.hostname


def resolv_conf(dns: DNSConfig | None) -> str:
    """resolv.conf(5) as asked for; the node's own when nothing is."""
    if dns is None:
        try:
            return Path("/etc/resolv.conf").read_text()
        except FileNotFoundError:
            return ""
    lines = [f"nameserver {server}" for server in dns.servers]
    lines += [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "".join(f"{line}\n" for line in lines)
