"""Events about pods and nodes: who is told, and the references that events point with."""

from __future__ import annotations

from typing import Protocol

from podkeeper.api.core import v1

NORMAL, WARNING = "Normal", "Warning"


class EventSink(Protocol):
    """Takes events without waiting; aggregation and delivery are the recorder's business."""

    def event(self, involved: v1.ObjectReference, type: str, reason: str, message: str) -> None: ...


class PodEvents:
    """The events of one pod; with a container's name they point at its place in the spec."""

    def __init__(self, sink: EventSink, pod: v1.Pod) -> None:
        self._sink, self.pod = sink, pod

    def normal(self, reason: str, message: str, container: str = "") -> None:
        """Something that was meant to happen."""
        self._sink.event(self._reference(container), NORMAL, reason, message)

    def warning(self, reason: str, message: str, container: str = "") -> None:
        """Something that needs somebody's attention."""
        self._sink.event(self._reference(container), WARNING, reason, message)

    def _reference(self, container: str) -> v1.ObjectReference:
        meta = self.pod.metadata
        return v1.ObjectReference(
            api_version="v1",
            kind="Pod",
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resource_version,
            field_path=_field_path(self.pod, container),
        )


def _field_path(pod: v1.Pod, container: str) -> str:
    if not container:
        return ""
    if any(each.name == container for each in pod.spec.init_containers):
        return f"spec.initContainers{{{container}}}"
    if any(each.name == container for each in pod.spec.ephemeral_containers):
        return f"spec.ephemeralContainers{{{container}}}"
    return f"spec.containers{{{container}}}"
