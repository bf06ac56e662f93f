"""``linux.resources`` from the CRI's resources; the same values as limits for a running container."""

from __future__ import annotations

from typing import Any

from podkeeper.foundation.cgroups import Limits
from podkeeper.runtime.cri import Resources


def section(resources: Resources) -> dict[str, Any]:
    """The OCI form, absent values left out."""
    cpu = {
        "shares": resources.cpu_shares,
        "quota": resources.cpu_quota,
        "period": resources.cpu_period,
        "cpus": resources.cpuset_cpus or None,
        "mems": resources.cpuset_mems or None,
    }
    memory = {"limit": resources.memory_limit, "swap": resources.memory_swap_limit}
    pids = {"limit": resources.pids_limit}
    huge = [{"pageSize": size, "limit": limit} for size, limit in resources.hugepage_limits.items()]
    tree: dict[str, Any] = {"cpu": _present(cpu), "memory": _present(memory), "pids": _present(pids)}
    tree |= {"hugepageLimits": huge, "unified": dict(resources.unified)}
    return {key: value for key, value in tree.items() if value}


def _present(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if value not in (None, 0)}


def limits(resources: Resources) -> Limits:
    """The form that control groups take."""
    return Limits(
        cpu_shares=resources.cpu_shares or None,
        cpu_quota=resources.cpu_quota,
        cpu_period=resources.cpu_period,
        memory=resources.memory_limit,
        memory_swap=resources.memory_swap_limit,
        pids=resources.pids_limit,
        cpuset_cpus=resources.cpuset_cpus,
        cpuset_mems=resources.cpuset_mems,
        unified=resources.unified,
    )
