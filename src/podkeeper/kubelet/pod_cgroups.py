"""The cgroups of pods: QoS classes under one group of the node's own, a group per pod, containers below that.

ROOT                      everything of this node
ROOT/podUID               Guaranteed
ROOT/burstable/podUID     shares: the sum of its pods' requests
ROOT/besteffort/podUID    shares: 2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podkeeper.api.core import v1
from podkeeper.api.pods import qos
from podkeeper.foundation.cgroups import Cgroups, CgroupsV2, CgroupUsage, Limits
from podkeeper.kubelet.resources import MIN_SHARES, pod_request, pod_resources, shares
from podkeeper.runtime.cri import Resources

_CLASSES = {qos.GUARANTEED: "", qos.BURSTABLE: "/burstable", qos.BEST_EFFORT: "/besteffort"}


class PodCgroups:
    """Makes, changes and removes the groups of one node's pods below ``root``."""

    def __init__(self, cgroups: Cgroups, root: str, pids_limit: int | None = None) -> None:
        self._cgroups, self._pids_limit = cgroups, pids_limit
        self.root = root
        self._burstable: dict[str, int] = {}

    def set_up_node(self) -> None:
        """Makes the node's group and those of the QoS classes."""
        self._cgroups.create(self.root)
        self._cgroups.create(f"{self.root}/besteffort", Limits(cpu_shares=MIN_SHARES))
        self._cgroups.create(f"{self.root}/burstable", Limits(cpu_shares=MIN_SHARES))

    @property
    def container_settings(self) -> Mapping[str, str]:
        """Raw version 2 settings of every container: one process too much for the memory ends them all, as one."""
        return {"memory.oom.group": "1"} if isinstance(self._cgroups, CgroupsV2) else {}

    def path(self, pod: v1.Pod) -> str:
        """The pod's group."""
        return f"{self.root}{_CLASSES[qos.of_pod(pod)]}/pod{pod.metadata.uid}"

    def set_up(self, pod: v1.Pod) -> str:
        """Makes the pod's group with its limits, or brings an existing one up to date; returns its path."""
        path = self.path(pod)
        self._cgroups.create(path, _limits(pod_resources(pod, self._pids_limit)))
        if qos.of_pod(pod) == qos.BURSTABLE:
            self._count(pod.metadata.uid, pod_request(pod, "cpu").milli_value())
        return path

    def loosen(self, pod: v1.Pod) -> None:
        """Lifts the pod's own limits until the next ``set_up``; those of its containers hold meanwhile."""
        self._cgroups.apply(self.path(pod), Limits(cpu_quota=-1, memory=-1))

    async def remove(self, uid: str) -> None:
        """Removes the pod's group wherever it is, killing what is left in it."""
        for path in self._places(uid):
            if self._cgroups.exists(path):
                await self._cgroups.remove(path)
        self._count(uid, None)

    def usage(self, pod: v1.Pod) -> CgroupUsage:
        """What the pod uses now."""
        return self._cgroups.usage(self.path(pod))

    def known_uids(self) -> set[str]:
        """UIDs of every pod that has a group."""
        found: set[str] = set()
        for part in _CLASSES.values():
            children = self._cgroups.children(f"{self.root}{part}")
            found |= {name.removeprefix("pod") for name in children if name.startswith("pod")}
        return found

    def _places(self, uid: str) -> Iterator[str]:
        return (f"{self.root}{part}/pod{uid}" for part in _CLASSES.values())

    def _count(self, uid: str, milli_cpu: int | None) -> None:
        """Keeps the burstable class's shares at the sum of its pods' requests."""
        before = sum(self._burstable.values())
        if milli_cpu is None:
            self._burstable.pop(uid, None)
        else:
            self._burstable[uid] = milli_cpu
        total = sum(self._burstable.values())
        if total != before:
            self._cgroups.apply(f"{self.root}/burstable", Limits(cpu_shares=shares(total)))


def _limits(resources: Resources) -> Limits:
    return Limits(
        cpu_shares=resources.cpu_shares,
        cpu_quota=resources.cpu_quota if resources.cpu_quota is not None else -1,
        cpu_period=resources.cpu_period,
        memory=resources.memory_limit if resources.memory_limit is not None else -1,
        pids=resources.pids_limit,
    )
