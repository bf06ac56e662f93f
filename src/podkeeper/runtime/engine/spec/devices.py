"""Device nodes of a container and the rules of its device cgroup."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from podkeeper.runtime.cri import Device
from podkeeper.runtime.failures import RuntimeFailure

_NOT_FOR_CONTAINERS = frozenset({"pts", "shm", "fd", "mqueue", "console", "stdin", "stdout", "stderr", "core", "ptmx"})
_ANY = -1
# Character devices that every container may use: null, zero, full, random, urandom, tty, console, ptmx, pts.
_USUAL = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, _ANY))


def nodes(devices: Sequence[Device], *, privileged: bool) -> list[dict[str, Any]]:
    """``linux.devices``: those asked for, and every device of the host for a privileged container."""
    found = {}
    if privileged:
        found = {path: _node(path, path) for path in _host_devices(Path("/dev"))}
    for device in devices:
        for host, inside in _expand(device):
            found[inside] = _node(host, inside)
    return list(found.values())


def rules(devices: Sequence[Device], *, privileged: bool) -> list[dict[str, Any]]:
    """``linux.resources.devices``: nothing but the usual, making nodes and what was asked for; all when privileged."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    found: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    found += [{"allow": True, "type": kind, "access": "m"} for kind in "cb"]
    for major, minor in _USUAL:
        rule = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        found.append(rule if minor == _ANY else rule | {"minor": minor})
    for device in devices:
        for host, inside in _expand(device):
            node = _node(host, inside)
            named = {key: node[key] for key in ("type", "major", "minor")}
            found.append({"allow": True, "access": device.permissions, **named})
    return found


def _expand(device: Device) -> Iterator[tuple[str, str]]:
    host = Path(device.host_path)
    if not host.is_dir():
        yield str(host), device.container_path
        return
    for path in _host_devices(host):
        yield path, str(Path(device.container_path) / Path(path).relative_to(host))


def _host_devices(root: Path) -> Iterator[str]:
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in _NOT_FOR_CONTAINERS]
        for name in files:
            path = os.path.join(directory, name)
            if name not in _NOT_FOR_CONTAINERS and stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFCHR, stat.S_IFBLK):
                yield path


def _node(host: str, inside: str) -> dict[str, Any]:
    try:
        status = os.stat(host)
    except OSError as error:
        raise RuntimeFailure(f"device {host}: {error.strerror}") from error
    kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise RuntimeFailure(f"device {host}: it is not a device node")
    return {
        "path": inside,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }
