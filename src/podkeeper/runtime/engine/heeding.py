"""Whether a process takes notice of a signal.

The first process of a PID namespace is spared signals that it has not provided for (pid_namespaces(7)): what comes a
moment before a program has set its handler is lost, and not kept for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def heeds(pid: int, number: int) -> bool:
    """False while a signal sent to the process would be dropped. A process that is gone drops nothing."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return _heeds(dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line), number)


def _heeds(status: Mapping[str, str], number: int) -> bool:
    namespaces = status.get("NSpid", "").split()
    if len(namespaces) < 2 or namespaces[-1] != "1":
        return True
    provided = int(status.get("SigCgt", "0"), 16) | int(status.get("SigBlk", "0"), 16)
    return bool(provided & 1 << (number - 1))
