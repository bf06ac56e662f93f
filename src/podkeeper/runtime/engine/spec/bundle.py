"""The whole OCI runtime spec of an infra container and of an app container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.runtime import pause
from podkeeper.runtime.cri import ContainerConfig, NamespaceMode, SandboxConfig
from podkeeper.runtime.engine.spec import (
    capabilities,
    devices,
    mounts,
    namespaces,
    process,
    resources,
    seccomp,
)
from podkeeper.runtime.engine.spec.users import User
from podkeeper.runtime.images.config import ImageConfig

OCI_VERSION = "1.0.2"
_INFRA_OOM_SCORE = -998  # of node-level processes: a pod must not lose its infra container to its own memory use
# Unprivileged programs may bind low ports and send pings: the network namespace is the pod's alone.
_NETWORK_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


def of_sandbox(config: SandboxConfig, root: Path, cgroup: str) -> dict[str, Any]:
    """The infra container: our pause program alone, without rights, read-only."""
    options = config.security.namespaces
    tree: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [f"/{pause.PROGRAM}"],
            "cwd": "/",
            "capabilities": capabilities.section(frozenset()),
            "noNewPrivileges": True,
            "oomScoreAdj": process.possible_oom_score(_INFRA_OOM_SCORE),
        },
        "root": {"path": str(root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=64k", "mode=755"]},
        ],
        "linux": {
            "namespaces": namespaces.of_sandbox(options),
            "cgroupsPath": cgroup,
            "sysctl": sandbox_sysctls(config),
            "resources": {"cpu": {"shares": 2}, "devices": [{"allow": False, "access": "rwm"}]},
        },
    }
    if options.network is not NamespaceMode.NODE and config.hostname:
        tree["hostname"] = config.hostname
    return tree


def sandbox_sysctls(config: SandboxConfig) -> dict[str, str]:
    """The pod's own sysctls over our defaults; none of the network's where that is the node's."""
    if config.security.namespaces.network is NamespaceMode.NODE:
        return dict(config.sysctls)
    return _NETWORK_SYSCTLS | dict(config.sysctls)


class Surroundings(Struct, frozen=True):
    """What an app container is put into. ``infra`` and ``target`` are process ids, ``target`` 0 when not asked for.

    ``version_2``: nothing but cgroup version 2 is there; ``huge_pages``: groups can limit them.
    """

    sandbox: SandboxConfig
    infra: int
    target: int
    files: mounts.SandboxFiles
    rootfs: Path
    cgroup: str
    hostname: str
    version_2: bool = False
    huge_pages: bool = False


def of_container(config: ContainerConfig, image: ImageConfig, user: User, around: Surroundings) -> dict[str, Any]:
    """An app container. Raises RuntimeFailure for what cannot be run."""
    security = config.security
    tree: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": process.section(config, image, around.hostname, user),
        "root": {"path": str(around.rootfs), "readonly": security.readonly_rootfs},
        "mounts": mounts.section(
            around.files, config.mounts, privileged=security.privileged, readonly_rootfs=security.readonly_rootfs
        ),
        "linux": _linux(config, around),
    }
    return tree


def _linux(config: ContainerConfig, around: Surroundings) -> dict[str, Any]:
    security = config.security
    granted = capabilities.granted(
        security.add_capabilities, security.drop_capabilities, privileged=security.privileged
    )
    limits = resources.section(config.resources)
    if not around.huge_pages:
        limits.pop("hugepageLimits", None)
    tree: dict[str, Any] = {
        "namespaces": namespaces.of_container(
            around.sandbox.security.namespaces,
            security.namespaces,
            around.infra,
            around.target,
            cgroup=around.version_2 and not security.privileged,
        ),
        "cgroupsPath": around.cgroup,
        "resources": {**limits, "devices": devices.rules(config.devices, privileged=security.privileged)},
        "devices": devices.nodes(config.devices, privileged=security.privileged),
        "rootfsPropagation": mounts.root_propagation(config.mounts),
    }
    profile = seccomp.section(security.seccomp, granted, pause.architecture(), privileged=security.privileged)
    if profile is not None:
        tree["seccomp"] = profile
    if not security.privileged:
        masked, readonly = security.masked_paths, security.readonly_paths
        tree["maskedPaths"] = list(mounts.MASKED if masked is None else masked)
        tree["readonlyPaths"] = list(mounts.READONLY if readonly is None else readonly)
    return tree
