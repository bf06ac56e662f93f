"""The node's own objects: registers the Node, keeps its status true and its lease alive.

The lease is renewed every 10 s and is what tells that the node lives; the status is written when it changed, and every
five minutes. https://kubernetes.io/docs/concepts/architecture/nodes/#heartbeats
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from podkeeper.api import codec, timestamps
from podkeeper.api.coordination import v1 as coordination
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.client.api import ConnectionFailed, PatchKind
from podkeeper.foundation.backoff import BackOff
from podkeeper.kubelet.machine import Machine, disk_space
from podkeeper.kubelet.node_status import NodeFactsNow, Pressures, node_status
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_events import NORMAL
from podkeeper.kubelet.waiting import Alarm

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"


class NodeReporter:
    """``pressures`` is asked before each status. ``node`` is the object as last seen, None before it is registered."""

    def __init__(self, parts: KubeletParts, machine: Machine, pressures: Callable[[], Pressures]) -> None:
        self._parts, self._machine, self._pressures = parts, machine, pressures
        self._nodes = parts.api.of(v1.Node)
        self._leases = parts.api.of(coordination.Lease)
        self._alarm = Alarm(parts.clock)
        self._written = 0.0
        self.node: v1.Node | None = None

    def nudge(self) -> None:
        """The runtime, the images or a pressure may have changed: look again now."""
        self._alarm.ring()

    async def report(self) -> None:
        """Registers, then reports until cancelled."""
        backoff = BackOff(0.1, 10.0)
        while True:
            try:
                if self.node is None:
                    await self._register()
                await self._update()
                backoff.reset(0)
                pause = self._parts.config.lease_renewal_seconds
            except (ApiError, ConnectionFailed) as error:
                log.warning("node %s: status not reported: %s", self._parts.config.node_name, error)
                if isinstance(error, ApiError) and error.code == 404:
                    self.node = None
                pause = backoff.next_delay(0)
            await self._alarm.wait(self._parts.clock.time() + pause)

    async def renew_lease(self) -> None:
        """Renews the lease until cancelled."""
        backoff = BackOff(0.2, 7.0)
        lease: coordination.Lease | None = None
        while True:
            try:
                lease = await self._renew(lease)
                backoff.reset(0)
                pause = self._parts.config.lease_renewal_seconds
            except (ApiError, ConnectionFailed) as error:
                log.info("node %s: lease not renewed: %s", self._parts.config.node_name, error)
                lease, pause = None, backoff.next_delay(0)
            await self._parts.clock.sleep(pause)

    # -- pieces -----------------------------------------------------------------------------------------------

    async def _facts(self) -> NodeFactsNow:
        parts = self._parts
        return NodeFactsNow(
            machine=self._machine,
            disk=disk_space(parts.config.root_dir),
            runtime=await parts.runtime.info(),
            images=await parts.images.list_images(),
            pressures=self._pressures(),
            now=parts.clock.time(),
        )

    async def _register(self) -> None:
        """Creates the Node complete with its status, or takes over the one that is there."""
        config = self._parts.config
        status = node_status(config, await self._facts(), v1.NodeStatus())
        taints = tuple(
            v1.Taint(key=key, value=value, effect=effect) for key, (value, effect) in config.registration_taints.items()
        )
        wanted = v1.Node(
            metadata=meta.ObjectMeta(
                name=config.node_name,
                labels={**node_labels(config.node_name, config.hostname, self._machine), **config.node_labels},
                annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            ),
            spec=v1.NodeSpec(taints=taints),
            status=status,
        )
        try:
            self.node = await self._nodes.create(wanted)
            self._written = self._parts.clock.time()
        except ApiError as error:
            if error.code != 409:
                raise
            self.node = await self._adopt(wanted)
        self._parts.events.event(self._reference(), NORMAL, "Starting", "Starting kubelet.")

    async def _adopt(self, wanted: v1.Node) -> v1.Node:
        present = await self._nodes.get(wanted.metadata.name)
        missing = {
            key: value for key, value in wanted.metadata.labels.items() if present.metadata.labels.get(key) != value
        }
        if not missing:
            return present
        return await self._nodes.patch(wanted.metadata.name, {"metadata": {"labels": missing}})

    async def _update(self) -> None:
        """Writes the status if something in it other than the heartbeats changed, or it is five minutes old."""
        assert self.node is not None
        facts = await self._facts()
        status = node_status(self._parts.config, facts, self.node.status)
        due = facts.now - self._written >= self._parts.config.status_report_seconds
        if not due and _without_heartbeats(status) == _without_heartbeats(self.node.status):
            return
        was_ready = _is_ready(self.node.status)
        patch = {"status": _changed(codec.to_tree(self.node.status), codec.to_tree(status))}
        self.node = await self._nodes.patch(
            self._parts.config.node_name, patch, kind=PatchKind.MERGE, subresource="status"
        )
        self._written = facts.now
        if _is_ready(status) != was_ready:
            self._announce("NodeReady" if _is_ready(status) else "NodeNotReady")

    def _announce(self, reason: str) -> None:
        text = f"Node {self._parts.config.node_name} status is now: {reason}"
        self._parts.events.event(self._reference(), NORMAL, reason, text)

    def _reference(self) -> v1.ObjectReference:
        name = self._parts.config.node_name
        return v1.ObjectReference(kind="Node", name=name, uid=name)

    async def _renew(self, lease: coordination.Lease | None) -> coordination.Lease:
        config, now = self._parts.config, timestamps.format_micro_time(self._parts.clock.time())
        if lease is None:
            lease = await self._present_lease()
        spec = coordination.LeaseSpec(
            holder_identity=config.node_name, lease_duration_seconds=config.lease_seconds, renew_time=now
        )
        if lease is not None:
            return await self._leases.update(msgspec.structs.replace(lease, spec=spec))
        owners: tuple[meta.OwnerReference, ...] = ()
        if self.node is not None:
            reference = meta.OwnerReference(
                api_version="v1", kind="Node", name=config.node_name, uid=self.node.metadata.uid
            )
            owners = (reference,)
        identity = meta.ObjectMeta(name=config.node_name, namespace=LEASE_NAMESPACE, owner_references=owners)
        return await self._leases.create(coordination.Lease(metadata=identity, spec=spec), LEASE_NAMESPACE)

    async def _present_lease(self) -> coordination.Lease | None:
        try:
            return await self._leases.get(self._parts.config.node_name, LEASE_NAMESPACE)
        except ApiError as error:
            if error.code == 404:
                return None
            raise


def node_labels(name: str, hostname: str, machine: Machine) -> dict[str, str]:
    """The labels that every node carries."""
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": hostname or name,
        "kubernetes.io/os": "linux",
    }


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _without_heartbeats(status: v1.NodeStatus) -> v1.NodeStatus:
    conditions = {
        each.type: msgspec.structs.replace(each, last_heartbeat_time="", last_transition_time="")
        for each in status.conditions
    }
    ordered = tuple(conditions[kind] for kind in sorted(conditions))
    return msgspec.structs.replace(status, conditions=ordered)


def _is_ready(status: v1.NodeStatus) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in status.conditions)
