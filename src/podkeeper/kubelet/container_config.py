"""A container as the runtime is told to create it: environment, command, mounts, resources, security."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.kubelet import labels
from podkeeper.kubelet.environment import (
    ConfigError,
    Environment,
    EnvironmentSource,
    build_environment,
    service_variables,
)
from podkeeper.kubelet.expansion import expand
from podkeeper.kubelet.hosts_file import write_hosts_file
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_files import hosts_path, log_path, new_termination_log
from podkeeper.kubelet.resources import container_resources
from podkeeper.kubelet.security import container_security
from podkeeper.kubelet.volumes.plugin import VolumeContext
from podkeeper.kubelet.volumes.pod_volumes import VolumePaths, volume_mounts
from podkeeper.runtime.cri import ContainerConfig, Mount, Resources
from podkeeper.runtime.cri_images import ImageStatus

HOSTS = "/etc/hosts"


class ContainerPlace(Struct, frozen=True):
    """Where a container will be: its pod, the pod's addresses and volumes, and which attempt it is."""

    pod: v1.Pod
    pod_ips: tuple[str, ...]
    volumes: VolumePaths
    context: VolumeContext
    attempt: int
    target_id: str = ""


async def build_container_config(
    parts: KubeletParts, place: ContainerPlace, container: v1.Container, image: ImageStatus
) -> tuple[ContainerConfig, Environment]:
    """The config, and the environment for its warnings. Raises ConfigError, RefusedUser, VolumeFailure, OSError."""
    pod = place.pod
    _refuse_unsupported(container)
    environment = await _environment(parts, place, container)
    variables = environment.variables
    config = ContainerConfig(
        name=container.name,
        image=image.id,
        attempt=place.attempt,
        command=[expand(word, variables) for word in container.command],
        args=[expand(word, variables) for word in container.args],
        working_dir=container.working_dir,
        env=list(variables.items()),
        mounts=_mounts(parts, place, container, environment),
        labels=labels.container_labels(pod, container),
        annotations=labels.container_annotations(pod, container, place.attempt)
        | {labels.IMAGE: shown_name(container, image)},
        log_path=log_path(container.name, place.attempt),
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdin_once),
        tty=bool(container.tty),
        resources=_resources(parts, pod, container),
        security=container_security(pod, container, image, place.target_id),
        stop_signal=container.lifecycle.stop_signal if container.lifecycle else "",
    )
    return config, environment


def _resources(parts: KubeletParts, pod: v1.Pod, container: v1.Container) -> Resources:
    wanted = container_resources(pod, container, parts.memory_capacity, parts.config.pod_pids_limit)
    return replace(wanted, unified=parts.cgroups.container_settings)


def _refuse_unsupported(container: v1.Container) -> None:
    if container.volume_devices:
        raise ConfigError(f"container {container.name}: volumeDevices are not supported by this node")
    for name in container.resources.limits:
        if name not in ("cpu", "memory", "ephemeral-storage") and not name.startswith("hugepages-"):
            raise ConfigError(f"container {container.name}: resource {name} is not provided by this node")


async def _environment(parts: KubeletParts, place: ContainerPlace, container: v1.Container) -> Environment:
    pod = place.pod
    links = pod.spec.enable_service_links is not False
    services = service_variables(parts.services(), pod.metadata.namespace, links)
    source = EnvironmentSource(parts.objects, parts.node, place.pod_ips, services)
    return await build_environment(pod, container, source)


def _mounts(
    parts: KubeletParts, place: ContainerPlace, container: v1.Container, environment: Environment
) -> list[Mount]:
    uid = place.pod.metadata.uid
    mounts = volume_mounts(place.context, container, place.volumes, environment.variables)
    if place.pod_ips and all(mount.container_path != HOSTS for mount in mounts):
        path = hosts_path(parts.config, uid)
        write_hosts_file(path, place.pod, place.pod_ips, parts.config.cluster_domain)
        readonly = bool(container.security_context and container.security_context.read_only_root_filesystem)
        mounts.append(Mount(HOSTS, str(path), readonly=readonly))
    if container.termination_message_path:
        path = new_termination_log(parts.config, uid, container.name)
        mounts.append(Mount(container.termination_message_path, str(path)))
    return mounts


def shown_name(container: v1.Container, image: ImageStatus) -> str:
    """What status.image says: the image's own name for what the container asked for."""
    asked = container.image
    tagged = asked if ":" in asked.rpartition("/")[2] or "@" in asked else f"{asked}:latest"
    names = [*image.tags, *image.digests]
    exact = (name for name in names if name == tagged or name.endswith(f"/{tagged}"))
    return next(exact, image.tags[0] if image.tags else asked)
