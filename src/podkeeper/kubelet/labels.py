"""What the kubelet writes on sandboxes and containers so that it knows them again after a restart.

Names as upstream's kuberuntime/labels.go, so that CRI tools show them as usual.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from podkeeper.api.core import v1

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
IMAGE = "podkeeper.io/image"
POD_GRACE = "io.kubernetes.pod.terminationGracePeriod"


def sandbox_labels(pod: v1.Pod) -> dict[str, str]:
    """The pod's own labels and its identity."""
    return {**pod.metadata.labels, **_identity(pod)}


def container_labels(pod: v1.Pod, container: v1.Container) -> dict[str, str]:
    """The pod's identity and the container's name."""
    return {**_identity(pod), CONTAINER_NAME: container.name}


def _identity(pod: v1.Pod) -> dict[str, str]:
    return {POD_NAME: pod.metadata.name, POD_NAMESPACE: pod.metadata.namespace, POD_UID: pod.metadata.uid}


def container_annotations(pod: v1.Pod, container: v1.Container, restart_count: int) -> dict[str, str]:
    """Facts about a container that must outlive its spec: hash, restart count, how to end it."""
    grace = pod.spec.termination_grace_period_seconds
    facts = {
        HASH: container_hash(container),
        RESTART_COUNT: str(restart_count),
        TERMINATION_PATH: container.termination_message_path,
        TERMINATION_POLICY: container.termination_message_policy,
    }
    if grace is not None:
        facts[POD_GRACE] = str(grace)
    return facts


def container_hash(container: v1.Container) -> str:
    """Changes exactly when the container must be replaced: FNV-1a 32 over name and image, as upstream picks them."""
    value = 0x811C9DC5
    for byte in json.dumps({"image": container.image, "name": container.name}).encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:x}"


def grace_from(annotations: Mapping[str, str], default: int) -> int:
    """The grace period written at creation, for a container whose pod is no longer known."""
    text = annotations.get(POD_GRACE, "")
    return int(text) if text.isdecimal() else default
