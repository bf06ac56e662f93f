"""How the kubelet reads a pod: its parts in one place, never None, and its names in messages."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from podkeeper.api.core import v1
from podkeeper.api.pods.requests import is_sidecar

DEFAULT_GRACE_SECONDS = 30


def format_pod(pod: v1.Pod) -> str:
    """``name_namespace(uid)``, as messages name a pod."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"


def sidecars(pod: v1.Pod) -> tuple[v1.Container, ...]:
    """The restartable init containers, in order."""
    return tuple(each for each in pod.spec.init_containers if is_sidecar(each))


def ephemeral_containers(pod: v1.Pod) -> tuple[v1.Container, ...]:
    """Ephemeral containers in the shape of ordinary ones; their target is asked with ``ephemeral_target``."""
    return tuple(_as_container(each) for each in pod.spec.ephemeral_containers)


def ephemeral_target(pod: v1.Pod, name: str) -> str:
    """Whose process namespace an ephemeral container joins; empty for none."""
    found = (each for each in pod.spec.ephemeral_containers if each.name == name)
    return next((each.target_container_name for each in found), "")


_CONTAINER_FIELDS = frozenset(v1.Container.__struct_fields__)


def _as_container(ephemeral: v1.EphemeralContainer) -> v1.Container:
    common = {field: getattr(ephemeral, field) for field in ephemeral.__struct_fields__ if field in _CONTAINER_FIELDS}
    return v1.Container(**common)


def all_containers(pod: v1.Pod) -> Iterator[v1.Container]:
    """Init, ordinary, then ephemeral containers."""
    yield from pod.spec.init_containers
    yield from pod.spec.containers
    yield from ephemeral_containers(pod)


def container_named(pod: v1.Pod, name: str) -> v1.Container | None:
    """The container of that name, of whichever sort."""
    return next((each for each in all_containers(pod) if each.name == name), None)


def grace_period(pod: v1.Pod) -> int:
    """Seconds a pod has to end: what its deletion said, else what its spec says."""
    if pod.metadata.deletion_grace_period_seconds is not None:
        return pod.metadata.deletion_grace_period_seconds
    grace = pod.spec.termination_grace_period_seconds
    return DEFAULT_GRACE_SECONDS if grace is None else grace


def is_terminal(status: v1.PodStatus) -> bool:
    """Succeeded or Failed: it will never run again."""
    return status.phase in ("Succeeded", "Failed")


def uses_host_network(pod: v1.Pod) -> bool:
    """Whether its containers live in the node's network."""
    return bool(pod.spec.host_network)


def with_status(pod: v1.Pod, status: v1.PodStatus) -> v1.Pod:
    """The pod with another status."""
    return msgspec.structs.replace(pod, status=status)
