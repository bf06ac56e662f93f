"""Running a RUN instruction's command in a root file system, by the OCI runtime directly: no monitor, no image."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.engine.spec import capabilities, users
from podkeeper.runtime.images.workers import ended

Output = Callable[[bytes], None]

_BINDS = ("/etc/resolv.conf", "/etc/hosts")
_MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug")
_READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_FILESYSTEMS = (
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),  # noqa: S108
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One command. ``rootfs`` is mounted and writable; ``user`` is ``name|uid[:group|gid]``, looked up in it.

    ``network`` is ``host`` (the machine's own) or ``none`` (loopback alone).
    """

    rootfs: Path
    args: Sequence[str]
    env: Sequence[tuple[str, str]] = ()
    user: str = ""
    cwd: str = "/"
    network: str = "host"


class Runner(Protocol):
    """Runs commands of a build."""

    async def run(self, request: RunRequest, output: Output) -> int:
        """Runs to the end and returns the exit code; stdout and stderr go to ``output`` as they come.

        Cancelled, it leaves nothing running. Raises BuildFailure when the command cannot be started at all.
        """
        ...


class OciRunner:
    """A Runner over ``crun run`` or ``runc run``."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime

    async def run(self, request: RunRequest, output: Output) -> int:
        """See Runner. What the command's mounts needed as mount points is taken away again."""
        name = f"podkeeper-build-{uuid.uuid4().hex[:12]}"
        stubs = _missing_mount_points(request)
        bundle = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        try:
            (bundle / "config.json").write_text(json.dumps(specification(request, name)))
            return await self._run(bundle, name, output)
        finally:
            await asyncio.to_thread(shutil.rmtree, bundle)
            _remove_stubs(request.rootfs, stubs)

    async def _run(self, bundle: Path, name: str, output: Output) -> int:
        base = (self._runtime, "--root", str(bundle / "state"))
        process = await asyncio.create_subprocess_exec(
            *base,
            "run",
            "--bundle",
            str(bundle),
            name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        async with ended(process):
            try:
                while data := await process.stdout.read(1 << 16):
                    output(data)
                return await process.wait()
            finally:
                if process.returncode is None:
                    delete = await asyncio.create_subprocess_exec(*base, "delete", "--force", name)
                    await delete.wait()


def choose_runtime() -> str:
    """The OCI runtime for builds. Raises BuildFailure when none is installed."""
    for name in ("runc", "crun"):
        if shutil.which(name):
            return name
    raise BuildFailure("RUN needs runc or crun, and neither is installed")


def specification(request: RunRequest, name: str) -> dict[str, Any]:
    """The OCI runtime specification of the command."""
    from podkeeper.runtime.cri import ContainerSecurityContext

    user = users.resolve(request.rootfs, ContainerSecurityContext(), request.user)
    env = {"HOME": user.home, **dict(request.env)}
    namespaces = ["pid", "ipc", "uts", "mount"] + (["network"] if request.network == "none" else [])
    return {
        "ociVersion": "1.0.2",
        "hostname": "build",
        "root": {"path": str(request.rootfs)},
        "process": {
            "args": list(request.args),
            "env": [f"{key}={value}" for key, value in env.items()],
            "cwd": request.cwd,
            "user": user.section(),
            "capabilities": capabilities.section(capabilities.granted((), (), privileged=False)),
        },
        "mounts": _mounts(request),
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "cgroupsPath": f"/{name}",
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READONLY),
        },
    }


def _mounts(request: RunRequest) -> list[dict[str, Any]]:
    found = [
        {"destination": target, "type": kind, "source": source, "options": list(options)}
        for target, kind, source, options in _FILESYSTEMS
    ]
    if request.network == "host":
        found += [
            {"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]}
            for path in _BINDS
            if os.path.exists(path)
        ]
    return found


def _missing_mount_points(request: RunRequest) -> list[str]:
    """Mount points that the runtime will make, deepest last."""
    targets = ["/proc", "/dev", "/sys"] + (["/etc", *_BINDS] if request.network == "host" else [])
    return [target for target in targets if not os.path.lexists(f"{request.rootfs}{target}")]


def _remove_stubs(rootfs: Path, stubs: Sequence[str]) -> None:
    """Removes them again, unless the command has put something there."""
    for stub in reversed(stubs):
        path = f"{rootfs}{stub}"
        if os.path.islink(path):
            continue
        if os.path.isfile(path) and os.path.getsize(path) == 0:
            os.unlink(path)
        elif os.path.isdir(path) and not os.listdir(path):
            os.rmdir(path)
