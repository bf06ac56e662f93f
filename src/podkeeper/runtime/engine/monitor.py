"""conmon, the native monitor: it holds a container's streams, writes its log and its exit code, and outlives us.

    spawn --start pipe--> conmon daemon --runtime create--> {"pid": N} on the sync pipe
                                                       \\-> {"pid": -1, "message": ...}
    container ends --> exits/ID has the code, oom exists if the kernel killed it for memory --> conmon ends (pidfd)

Its control channel is a FIFO of lines ``TYPE HEIGHT WIDTH``: 1 sets the terminal's size, 2 reopens the log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from msgspec import Struct

from podkeeper.foundation.cgroups import Cgroups
from podkeeper.foundation.cgroups.killing import wait_readable
from podkeeper.runtime.engine.oci_runtime import LOG, PID_FILE, OciRuntime, OciRuntimeFailure, last_error
from podkeeper.runtime.engine.processes import Child, ProcessIdentity, Streams, identity_in, spawn
from podkeeper.runtime.failures import RuntimeFailure

MONITOR_PID_FILE = "conmon.pid"
MONITOR_ERRORS = "conmon.errors"
_RESIZE, _REOPEN = 1, 2
_LONGEST_MESSAGE = 1 << 16


class MonitorConfig(Struct, frozen=True):
    """What one monitor is told. ``stdin_once`` closes stdin with the first attached client,
    unless it is a terminal."""

    container_id: str
    bundle: Path
    log_path: Path
    tty: bool
    stdin: bool
    stdin_once: bool


class Monitors:
    """Starts monitors with one program and one OCI runtime; keeps them in a control group of their own."""

    def __init__(self, program: str, cgroups: Cgroups, group: str) -> None:
        self._program, self._cgroups, self._group = program, cgroups, group
        cgroups.create(group)

    async def create(self, runtime: OciRuntime, config: MonitorConfig) -> tuple[ProcessIdentity, ProcessIdentity]:
        """Creates the container (not started yet). Returns monitor and container process. RuntimeFailure."""
        sync_read, sync_write = os.pipe()
        try:
            try:
                child = self._spawn(runtime, config, sync_write)
            finally:
                os.close(sync_write)
            answer = await _read_line(sync_read)
            code = await child.wait()
        finally:
            os.close(sync_read)
        return self._created(runtime, config, answer, code)

    def _spawn(self, runtime: OciRuntime, config: MonitorConfig, sync: int) -> Child:
        """Starts a monitor that begins in our group for monitors: what ends the group that we are in spares it."""
        start_read, start_write = os.pipe()
        errors = os.open(config.bundle / MONITOR_ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child = spawn(
                self._command(runtime, config),
                Streams(stderr=errors),
                directory=config.bundle,
                environment={"PATH": os.defpath, "_OCI_SYNCPIPE": str(sync), "_OCI_STARTPIPE": str(start_read)},
                pass_descriptors=(sync, start_read),
            )
            self._cgroups.attach(self._group, child.pid)
        except FileNotFoundError as error:
            raise RuntimeFailure(f"cannot run {self._program}: not installed (apt-get install conmon)") from error
        finally:
            os.close(start_read)
            os.close(start_write)
            os.close(errors)
        return child

    def _command(self, runtime: OciRuntime, config: MonitorConfig) -> list[str]:
        bundle, name = config.bundle, config.container_id
        command = [self._program, "-c", name, "-u", name, "-b", str(bundle), "-r", runtime.path]
        command += [part for option in runtime.options(bundle) for part in ("--runtime-arg", option)]
        command += ["-P", str(bundle / MONITOR_PID_FILE), "-p", str(bundle / PID_FILE)]
        command += ["-l", f"k8s-file:{config.log_path}", "--exit-dir", str(bundle / "exits"), "-0", str(bundle)]
        command += ["--full-attach", "--no-sync-log", "--log-level", "error"]
        command += ["-t"] if config.tty else []
        command += ["-i"] if config.stdin else []
        command += ["--leave-stdin-open"] if config.stdin and (config.tty or not config.stdin_once) else []
        return command

    def _created(
        self, runtime: OciRuntime, config: MonitorConfig, answer: str, code: int
    ) -> tuple[ProcessIdentity, ProcessIdentity]:
        try:
            tree = json.loads(answer) if answer else {}
        except ValueError:
            tree = {}
        pid = tree.get("pid", tree.get("data", -1))
        if pid <= 0:
            cause = last_error(config.bundle / LOG) or str(tree.get("message", "")).strip()
            cause = cause or f"{self._program} ended with code {code}: {_last_line(config.bundle / MONITOR_ERRORS)}"
            raise OciRuntimeFailure(f"{runtime.name} cannot create {config.container_id}: {cause}", cause)
        monitor = int((config.bundle / MONITOR_PID_FILE).read_text())
        try:
            return ProcessIdentity.of(monitor), ProcessIdentity.of(pid)
        except ProcessLookupError as error:
            raise RuntimeFailure(
                f"container {config.container_id}: process {error} ended while it was created"
            ) from error


def living_monitor(bundle: Path, container_id: str) -> ProcessIdentity | None:
    """The container's monitor, if it lives; after a restart of the machine its number may be another program's."""
    found = identity_in(bundle / MONITOR_PID_FILE)
    if found is None:
        return None
    try:
        words = Path(f"/proc/{found.pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return found if container_id.encode() in words else None


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines()
    return lines[-1].strip() if lines else "it said nothing"


async def _read_line(descriptor: int) -> str:
    """What comes through a pipe up to a line's end or the pipe's."""
    os.set_blocking(descriptor, False)
    data = b""
    while b"\n" not in data and len(data) < _LONGEST_MESSAGE:
        await wait_readable(descriptor)
        try:
            part = os.read(descriptor, 4096)
        except BlockingIOError:
            continue
        if not part:
            break
        data += part
    return data.decode(errors="replace").strip()


def resize(bundle: Path, width: int, height: int) -> None:
    """Sets the size of a container's terminal."""
    _control(bundle, _RESIZE, height, width)


def reopen_log(bundle: Path) -> None:
    """Makes the monitor open the log's path anew."""
    _control(bundle, _REOPEN, 0, 0)


def _control(bundle: Path, kind: int, height: int, width: int) -> None:
    try:
        descriptor = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure(f"the monitor of {bundle.name} does not listen: {error.strerror}") from error
    try:
        os.write(descriptor, f"{kind} {height} {width}\n".encode())
    finally:
        os.close(descriptor)
