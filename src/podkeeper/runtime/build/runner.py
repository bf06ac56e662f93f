"""Running a RUN instruction's command in a root file system, by the OCI runtime directly: no monitor, no image."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from podkeeper.foundation.cgroups import CgroupError
from podkeeper.runtime import pause
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.oci_choice import CANDIDATES, Ground
from podkeeper.runtime.engine.oci_runtimes import OciRuntimes
from podkeeper.runtime.engine.spec import capabilities, users
from podkeeper.runtime.engine.spec.rootfs_files import open_in_root
from podkeeper.runtime.engine.sweep import DirectoryInUse, lock, sweep
from podkeeper.runtime.failures import RuntimeFailure
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


class RunRequest(Struct, frozen=True):
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
    """A Runner with the OCI runtime that an engine would choose here, in a directory and a control group of its own.

    The runtime is chosen by the first command: an image without one needs no OCI runtime.
    """

    def __init__(self, directories: Directories, cgroup: str, candidates: Sequence[str] = CANDIDATES) -> None:
        self._directories, self._cgroup, self._candidates = directories, cgroup, candidates
        self._runtimes: OciRuntimes | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, place: Path, cgroup: str, candidates: Sequence[str] = CANDIDATES) -> AsyncIterator[OciRunner]:
        """A runner below the directory ``place``, which other builds may use too. Nothing of it is left at the end.

        What builds have left there that were killed is removed first. The control group is named ``cgroup``-ID.
        """
        await remove_abandoned(place)
        name = uuid.uuid4().hex[:12]
        directories = Directories(place / name)
        directories.create()
        held = lock(directories)
        try:
            yield cls(directories, f"{cgroup}-{name}", candidates)
        finally:
            os.close(held)
            await sweep(directories.root)

    async def run(self, request: RunRequest, output: Output) -> int:
        """See Runner. What the command's mounts needed as mount points is taken away again."""
        runtimes = await self._chosen()
        name = f"run-{uuid.uuid4().hex[:12]}"
        stubs = _missing_mount_points(request)
        bundle = self._directories.sandbox(name)
        bundle.mkdir(mode=0o700)
        try:
            (bundle / "config.json").write_text(json.dumps(specification(request, f"{self._cgroup}/{name}")))
            return await self._run(runtimes, name, bundle, output)
        finally:
            await asyncio.to_thread(shutil.rmtree, bundle)
            _remove_stubs(request.rootfs, stubs)

    async def _chosen(self) -> OciRuntimes:
        if self._runtimes is None:
            pause.install(self._directories.pause)
            try:
                ground = Ground.prepare(self._directories, self._cgroup)
                self._runtimes = await OciRuntimes.open(ground, self._candidates)
            except (CgroupError, OSError, RuntimeFailure) as error:
                raise BuildFailure(f"RUN cannot start a container: {error}") from error
        return self._runtimes

    async def _run(self, runtimes: OciRuntimes, name: str, bundle: Path, output: Output) -> int:
        runtime = runtimes.current
        words = [runtime.path, "--root", str(runtime.state), "run", "--bundle", str(bundle), name]
        process = await asyncio.create_subprocess_exec(
            *words,
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
                await runtimes.delete(name, bundle)


async def remove_abandoned(place: Path) -> None:
    """Removes what killed builds have left below ``place``: processes, control groups, files. RuntimeFailure."""
    for directory in _directories(place):
        with contextlib.suppress(DirectoryInUse):
            await sweep(directory)


def _directories(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.is_dir() else []


def specification(request: RunRequest, cgroup: str) -> dict[str, Any]:
    """The OCI runtime specification of the command, whose processes are in the group ``cgroup``."""
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
            "cgroupsPath": cgroup,
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
    return [target for target in targets if not _is_there(request.rootfs, target)]


def _is_there(rootfs: Path, path: str) -> bool:
    try:
        os.close(open_in_root(rootfs, path, os.O_PATH | os.O_NOFOLLOW))
    except OSError:
        return False
    return True


def _remove_stubs(rootfs: Path, stubs: Sequence[str]) -> None:
    """Removes them again, unless the command has put something there. Its links lead nowhere outside."""
    for stub in reversed(stubs):
        folder, _, name = stub.rpartition("/")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            parent = open_in_root(rootfs, folder or "/", os.O_PATH | os.O_DIRECTORY)
            try:
                _remove_empty(parent, name)
            finally:
                os.close(parent)


def _remove_empty(folder: int, name: str) -> None:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        os.unlink(name, dir_fd=folder)
    elif stat.S_ISDIR(found.st_mode):
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(name, dir_fd=folder)
