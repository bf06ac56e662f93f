"""``linux.seccomp``: none, our default profile fitted to the container's capabilities, or a file of the node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from podkeeper.runtime.cri import SecurityProfile
from podkeeper.runtime.engine.spec import syscalls
from podkeeper.runtime.failures import RuntimeFailure

_ARCHITECTURES = {
    "amd64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "arm64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
_ALLOW, _REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_EPERM, _ENOSYS = 1, 38
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_AF_VSOCK = 40
# personality(2): Linux, its 32-bit form, and both with UNAME26; and asking without changing.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def section(profile: SecurityProfile, capabilities: frozenset[str], architecture: str, *, privileged: bool) -> Any:
    """The filter, or None for no filter. Privileged containers have none. RuntimeFailure for an unreadable file."""
    if privileged or profile.type == "Unconfined":
        return None
    if profile.type == "Localhost":
        return _from_file(Path(profile.localhost_ref))
    return default(capabilities, architecture)


def _from_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RuntimeFailure(f"cannot use the seccomp profile {path}: {error}") from error


def default(capabilities: frozenset[str], architecture: str) -> dict[str, Any]:
    """RuntimeDefault. A capability opens the calls that it is for; without SYS_ADMIN no namespaces can be made."""
    names = {*syscalls.ALWAYS, *syscalls.TRACING, *syscalls.BY_ARCHITECTURE[architecture]}
    for capability in capabilities:
        names.update(syscalls.BY_CAPABILITY.get(capability, ()))
    rules: list[dict[str, Any]] = [{"names": sorted(names), "action": _ALLOW}]
    rules += [_allow("personality", 0, value) for value in _PERSONALITIES]
    rules.append(_allow("socket", 0, _AF_VSOCK, "SCMP_CMP_NE"))
    if "SYS_ADMIN" not in capabilities:
        rules.append(_allow("clone", 0, _NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ"))
        # The flags of clone3 are behind a pointer: refused so that libraries fall back to clone.
        rules.append({"names": ["clone3"], "action": _REFUSE, "errnoRet": _ENOSYS})
    return {
        "defaultAction": _REFUSE,
        "defaultErrnoRet": _EPERM,
        "architectures": _ARCHITECTURES[architecture],
        "syscalls": rules,
    }


def _allow(name: str, index: int, value: int, operation: str = "SCMP_CMP_EQ") -> dict[str, Any]:
    argument = {"index": index, "value": value, "op": operation}
    return {"names": [name], "action": _ALLOW, "args": [argument]}
