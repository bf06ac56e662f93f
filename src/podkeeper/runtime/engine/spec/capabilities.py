"""Linux capabilities of a process: Docker's default set, what the container adds and drops, what we can give at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from podkeeper.runtime.failures import RuntimeFailure

# In the kernel's numbering, include/uapi/linux/capability.h.
ALL = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
DEFAULT = frozenset(
    {
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    }
)  # fmt: skip


@cache
def available() -> frozenset[str]:
    """Those that this process may hand on: its own bounding and permitted set."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    mask = int(status["CapBnd"], 16) & int(status["CapPrm"], 16)
    return frozenset(name for number, name in enumerate(ALL) if mask >> number & 1)


def granted(add: Sequence[str], drop: Sequence[str], *, privileged: bool) -> frozenset[str]:
    """The names without CAP_ that a container gets. Adding beats dropping ALL, dropping beats adding ALL.

    Raises RuntimeFailure for a name that no kernel knows.
    """
    if privileged:
        return frozenset(ALL)
    adds, drops = _names(add), _names(drop)
    found = frozenset(ALL) if "ALL" in adds else DEFAULT
    found = frozenset() if "ALL" in drops else found
    return (found | (adds - {"ALL"})) - drops


def _names(texts: Sequence[str]) -> frozenset[str]:
    names = frozenset(text.upper().removeprefix("CAP_") for text in texts)
    unknown = sorted(names - {"ALL", *ALL})
    if unknown:
        raise RuntimeFailure(
            f"unknown capability {', '.join(unknown)}: use names of capabilities(7) without CAP_, or ALL"
        )
    return names


def section(names: frozenset[str]) -> dict[str, Any]:
    """``process.capabilities``. Nothing is inheritable or ambient: a program that drops to another user loses them."""
    listed = [f"CAP_{name}" for name in ALL if name in names & available()]
    return {"bounding": listed, "effective": listed, "permitted": listed}
