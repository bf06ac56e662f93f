"""Container statuses of a pod from what the runtime and the probes say."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.pods.requests import is_sidecar
from podkeeper.kubelet import labels
from podkeeper.kubelet.plan import NANOSECONDS, NO_FINDINGS, ProbeFindings
from podkeeper.kubelet.pods import ephemeral_containers
from podkeeper.kubelet.resize import actual_resources
from podkeeper.kubelet.runtime_state import PodRuntime, restart_count
from podkeeper.runtime.cri import ContainerState, ContainerStatus

SCHEME = "podkeeper://"
LOST_CODE = 137
LOST_REASON, LOST_MESSAGE = (
    "ContainerStatusUnknown",
    "The container could not be located when the pod was terminated",
)
DELETED_MESSAGE = "The container could not be located when the pod was deleted.  The container used to be Running"
Statuses = tuple[v1.ContainerStatus, ...]


class StatusSources(Struct, frozen=True):
    """See ``status.StatusFacts``."""

    pod: v1.Pod
    runtime: PodRuntime
    probes: ProbeFindings = NO_FINDINGS
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False


def container_statuses(sources: StatusSources) -> tuple[Statuses, Statuses, Statuses]:
    """Statuses of the init, the ordinary and the ephemeral containers (those that exist), in the spec's order."""
    spec = sources.pod.spec
    waiting = "PodInitializing" if spec.init_containers else "ContainerCreating"
    init = tuple(_status(sources, each, waiting, init=True) for each in spec.init_containers)
    ordinary = tuple(_status(sources, each, waiting) for each in spec.containers)
    ephemeral = tuple(_status(sources, each, "ContainerCreating") for each in ephemeral_containers(sources.pod))
    return init, ordinary, ephemeral


def _status(sources: StatusSources, container: v1.Container, waiting: str, *, init: bool = False) -> v1.ContainerStatus:
    history = [each for each in sources.runtime.history(container.name) if each.state is not ContainerState.CREATED]
    latest = history[0] if history else None
    state, last = _states(sources, container, history, waiting)
    running = state.running is not None
    started = running and latest is not None and latest.id not in sources.probes.not_started
    asked = _image_name(latest) or container.image
    return v1.ContainerStatus(
        name=container.name,
        state=state,
        last_state=last,
        ready=_is_ready(sources, container, latest, state, started=started, init=init),
        restart_count=restart_count(latest) if latest else _restarts_told(sources, container),
        image=asked,
        image_id=(latest.image_ref or latest.image_id) if latest else "",
        container_id=f"{SCHEME}{latest.id}" if latest else "",
        started=started,
        allocated_resources=container.resources.requests if running else {},
        resources=actual_resources(sources.pod, container, latest) if running and latest is not None else None,
        volume_mounts=tuple(_mount_status(each) for each in container.volume_mounts),
        user=_user(latest) if latest is not None and running else None,
    )


def _restarts_told(sources: StatusSources, container: v1.Container) -> int:
    told = _told(sources, container)
    return told.restart_count if told else 0


def _image_name(latest: ContainerStatus | None) -> str:
    return "" if latest is None else latest.annotations.get(labels.IMAGE, latest.image)


def _user(latest: ContainerStatus) -> v1.ContainerUser:
    uid, gid, groups = latest.user
    return v1.ContainerUser(linux=v1.LinuxContainerUser(uid=uid, gid=gid, supplemental_groups=groups))


def _mount_status(mount: v1.VolumeMount) -> v1.VolumeMountStatus:
    recursive = mount.recursive_read_only or "Disabled"
    return v1.VolumeMountStatus(
        name=mount.name,
        mount_path=mount.mount_path,
        read_only=mount.read_only,
        recursive_read_only=("Enabled" if recursive == "IfPossible" else recursive) if mount.read_only else "",
    )


def _states(
    sources: StatusSources, container: v1.Container, history: list[ContainerStatus], waiting: str
) -> tuple[v1.ContainerState, v1.ContainerState]:
    """The present state and the last one."""
    if not history:
        return _never_ran(sources, container, waiting), _vanished(_told(sources, container))
    latest = history[0]
    previous = v1.ContainerState(terminated=_terminated(sources, history[1])) if history[1:] else v1.ContainerState()
    if latest.state is ContainerState.RUNNING:
        since = timestamps.format_time(latest.started_at / NANOSECONDS)
        return v1.ContainerState(running=v1.ContainerStateRunning(started_at=since)), previous
    ended = v1.ContainerState(terminated=_terminated(sources, latest))
    held = sources.waiting.get(container.name)
    if held is not None and not sources.ended:
        return _waits(*held), ended
    return ended, previous


def _never_ran(sources: StatusSources, container: v1.Container, waiting: str) -> v1.ContainerState:
    begun = any(sources.runtime.latest(each.name) for each in sources.pod.spec.containers)
    if sources.ended and begun:
        lost = v1.ContainerStateTerminated(exit_code=LOST_CODE, reason=LOST_REASON, message=LOST_MESSAGE)
        return v1.ContainerState(terminated=lost)
    return _waits(*sources.waiting.get(container.name, (waiting, "")))


def _told(sources: StatusSources, container: v1.Container) -> v1.ContainerStatus | None:
    """What was last said of a container."""
    status = sources.pod.status
    every = (*status.init_container_statuses, *status.container_statuses, *status.ephemeral_container_statuses)
    return next((each for each in every if each.name == container.name), None)


def _vanished(told: v1.ContainerStatus | None) -> v1.ContainerState:
    """The last state of a container that the runtime no longer knows, after the machine's restart for instance."""
    if told is None:
        return v1.ContainerState()
    if told.state.running is not None:
        lost = v1.ContainerStateTerminated(
            exit_code=LOST_CODE, reason=LOST_REASON, message=DELETED_MESSAGE, container_id=told.container_id
        )
        return v1.ContainerState(terminated=lost)
    return v1.ContainerState(terminated=told.state.terminated) if told.state.terminated else told.last_state


def _waits(reason: str, message: str) -> v1.ContainerState:
    return v1.ContainerState(waiting=v1.ContainerStateWaiting(reason=reason, message=message))


def _terminated(sources: StatusSources, container: ContainerStatus) -> v1.ContainerStateTerminated:
    if container.state is ContainerState.UNKNOWN:
        return v1.ContainerStateTerminated(
            exit_code=LOST_CODE,
            reason=LOST_REASON,
            message=LOST_MESSAGE,
            container_id=f"{SCHEME}{container.id}",
        )
    default = "Completed" if container.exit_code == 0 else "Error"
    return v1.ContainerStateTerminated(
        exit_code=container.exit_code,
        reason=container.reason or default,
        message=sources.messages.get(container.id) or container.message,
        started_at=_time(container.started_at),
        finished_at=_time(container.finished_at),
        container_id=f"{SCHEME}{container.id}",
    )


def _time(nanoseconds: int) -> str:
    return timestamps.format_time(nanoseconds / NANOSECONDS)


def _is_ready(
    sources: StatusSources,
    container: v1.Container,
    latest: ContainerStatus | None,
    state: v1.ContainerState,
    *,
    started: bool,
    init: bool,
) -> bool:
    if init and not is_sidecar(container):
        return state.terminated is not None and state.terminated.exit_code == 0
    if latest is None or state.running is None or sources.ended:
        return False
    return started and latest.id not in sources.probes.not_ready
