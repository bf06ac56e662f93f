"""Node lifecycle: a node that stops renewing its lease is Unknown; conditions become taints; its pods are not ready.

    lease renewed --> conditions are the kubelet's own
    no renewal for 50 s --> Ready and the others Unknown --> taint unreachable --> pods not ready, later evicted
Source: https://kubernetes.io/docs/reference/node/node-status/ and /docs/concepts/architecture/nodes/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podkeeper.api import codec, timestamps
from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.api.pods.tolerations import NO_EXECUTE, NO_SCHEDULE
from podkeeper.client.api import PatchKind
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.foundation.exposition import Counters, Family

GRACE_SECONDS = 50.0
LEASES = "kube-node-lease"
SILENT = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

#: condition type -> status -> key of the taint it means
TAINTS: Mapping[str, Mapping[str, str]] = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
}
OURS = {key for keys in TAINTS.values() for key in keys.values()} | {UNSCHEDULABLE}


class NodeLifecycle:
    """Keys are nodes."""

    name = "node-controller"
    workers = 4

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._nodes, self._leases = tools.informer(v1.Node), tools.informer(coordination.Lease)
        self._pods = tools.informer(v1.Pod)
        self._pods.add_index("node", lambda pod: [pod.spec.node_name] if pod.spec and pod.spec.node_name else [])
        self._heard: dict[str, tuple[str, float]] = {}
        self._evictions = Counters("node_collector_evictions_total", "Nodes whose pods had to go, by zone.", "zone")

    def families(self) -> Sequence[Family]:
        """What /metrics tells of nodes."""
        return (self._evictions.family(),)

    def watches(self) -> Sequence[Watch[Any]]:
        """Nodes. Renewals are read when a node's time is up, not followed: they are no news as long as they come."""
        return (
            Watch(self._nodes, own_key),
            Watch(self._leases, lambda old, new: ()),
            Watch(self._pods, lambda o, n: ()),
        )

    async def reconcile(self, key: Key) -> float | None:
        """Marks a silent node, keeps taints in step with conditions; looks again when the lease would run out."""
        node = self._nodes.lister.get("", key.name)
        if node is None:
            self._heard.pop(key.name, None)
            return None
        left = self._heard_at(node) + GRACE_SECONDS - self._tools.clock.monotonic()
        if left <= 0 and not _is_silent(node):
            node = await self._mark_silent(node)
        await self._set_taints(node)
        if not _is_ready(node):
            await self._unready_pods(node)
        return max(left, 1.0) if left > 0 else GRACE_SECONDS

    def _heard_at(self, node: v1.Node) -> float:
        """When this process last saw a sign of life, on its own monotonic clock: clocks of two machines may differ."""
        name = node.metadata.name
        lease = self._leases.lister.get(LEASES, name)
        ready = conditions.find(node.status.conditions if node.status else (), "Ready")
        renewed = lease.spec.renew_time if lease and lease.spec else ""
        sign = renewed + (ready.last_heartbeat_time if ready else "")
        known = self._heard.get(name)
        if known is None or known[0] != sign:
            known = self._heard[name] = sign, self._tools.clock.monotonic()
        return known[1]

    async def _mark_silent(self, node: v1.Node) -> v1.Node:
        now = timestamps.format_time(self._tools.clock.time())
        changed = []
        for kind in SILENT:
            present = conditions.find(node.status.conditions if node.status else (), kind)
            never = present is None or not present.last_heartbeat_time
            changed.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
                    "message": f"Kubelet {'never' if never else 'stopped'} post{'ed' if never else 'ing'} node status.",
                    "lastTransitionTime": now,
                }
            )
        self._tools.recorder.event(
            node, "Normal", "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady"
        )
        patch = {"status": {"conditions": changed}}
        nodes = self._tools.api.of(v1.Node)
        return await nodes.patch(node.metadata.name, patch, kind=PatchKind.STRATEGIC, subresource="status")

    async def _set_taints(self, node: v1.Node) -> None:
        spec = node.spec or v1.NodeSpec()
        wanted = list(_wanted_taints(node))
        kept = [each for each in spec.taints if each.key not in OURS]
        present = [each for each in spec.taints if each.key in OURS]
        identity = {(each.key, each.effect) for each in present}
        zone = _zone(node)
        self._evictions[(zone,)] += 0  # told from the first node of a zone on
        if identity == set(wanted):
            return
        now = timestamps.format_time(self._tools.clock.time())
        still = [each for each in present if (each.key, each.effect) in wanted]
        fresh = [
            v1.Taint(key=key, effect=effect, time_added=now if effect == NO_EXECUTE else "")
            for key, effect in wanted
            if (key, effect) not in identity
        ]
        taints = [codec.to_tree(each) for each in (*kept, *still, *fresh)]
        patch = {"metadata": {"resourceVersion": node.metadata.resource_version}, "spec": {"taints": taints or None}}
        await self._tools.api.of(v1.Node).patch(node.metadata.name, patch)
        self._evictions[(zone,)] += any(each.effect == NO_EXECUTE for each in fresh)

    async def _unready_pods(self, node: v1.Node) -> None:
        for pod in self._pods.lister.by_index("node", node.metadata.name):
            ready = conditions.find(pod.status.conditions if pod.status else (), "Ready")
            if ready is None or ready.status != "True" or not _is_silent(node):
                continue
            now = timestamps.format_time(self._tools.clock.time())
            condition = {"type": "Ready", "status": "False", "lastTransitionTime": now}
            patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
            self._tools.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            pods = self._tools.api.of(v1.Pod)
            await pods.patch(
                pod.metadata.name, patch, pod.metadata.namespace, kind=PatchKind.STRATEGIC, subresource="status"
            )


def _wanted_taints(node: v1.Node) -> Iterator[tuple[str, str]]:
    """Keys and effects that the node's state means."""
    for condition in node.status.conditions if node.status else ():
        key = TAINTS.get(condition.type, {}).get(condition.status)
        if key:
            yield key, NO_SCHEDULE
            if condition.type == "Ready":
                yield key, NO_EXECUTE
    if node.spec and node.spec.unschedulable:
        yield UNSCHEDULABLE, NO_SCHEDULE
    if not (node.status and conditions.find(node.status.conditions, "Ready")):
        yield NOT_READY, NO_SCHEDULE


def _is_ready(node: v1.Node) -> bool:
    return bool(node.status) and conditions.is_true(node.status.conditions if node.status else (), "Ready")


def _is_silent(node: v1.Node) -> bool:
    ready = conditions.find(node.status.conditions if node.status else (), "Ready")
    return ready is not None and ready.status == "Unknown"


def _zone(node: v1.Node) -> str:
    """Upstream's key of a node's zone; empty for one that tells of none."""
    labels = node.metadata.labels
    region, zone = labels.get("topology.kubernetes.io/region", ""), labels.get("topology.kubernetes.io/zone", "")
    return f"{region}:\0:{zone}" if region or zone else ""
