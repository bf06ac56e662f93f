"""Which namespaces are new, which are joined by path and which are the node's.

The infra container owns net, ipc and uts (and pid when the pod shares it); the others join them and own mnt and pid.
"""

from __future__ import annotations

from typing import Any

from podkeeper.runtime.cri import NamespaceMode, NamespaceOptions

_FILES = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}


def of_sandbox(options: NamespaceOptions) -> list[dict[str, Any]]:
    """The infra container's. A node's network means the node's host name too."""
    own = ["mount"]
    if options.network is not NamespaceMode.NODE:
        own += ["network", "uts"]
    if options.ipc is not NamespaceMode.NODE:
        own.append("ipc")
    if options.pid is not NamespaceMode.NODE:
        own.append("pid")
    return [{"type": kind} for kind in own]


def of_container(
    sandbox: NamespaceOptions, own: NamespaceOptions, infra: int, target: int = 0, *, cgroup: bool = False
) -> list[dict[str, Any]]:
    """An app container's: ``infra`` and ``target`` are process ids whose namespaces are joined.

    ``cgroup`` shows it its own control group as the root (version 2; version 1's mounts show that by themselves).
    """
    found: list[dict[str, Any]] = [{"type": kind} for kind in (["mount", "cgroup"] if cgroup else ["mount"])]
    if sandbox.network is not NamespaceMode.NODE:
        found += [_join("network", infra), _join("uts", infra)]
    if sandbox.ipc is not NamespaceMode.NODE:
        found.append(_join("ipc", infra))
    match own.pid:
        case NamespaceMode.CONTAINER:
            found.append({"type": "pid"})
        case NamespaceMode.POD:
            found.append(_join("pid", infra))
        case NamespaceMode.TARGET:
            found.append(_join("pid", target))
        case NamespaceMode.NODE:
            pass
    return found


def _join(kind: str, pid: int) -> dict[str, Any]:
    return {"type": kind, "path": f"/proc/{pid}/ns/{_FILES[kind]}"}
