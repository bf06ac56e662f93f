"""Security contexts: the container's own settings over the pod's, and what the runtime is told.

https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

from collections.abc import Sequence

from podkeeper.api.core import v1
from podkeeper.kubelet.pods import format_pod, uses_host_network
from podkeeper.runtime.cri import (
    ContainerSecurityContext,
    NamespaceMode,
    NamespaceOptions,
    SandboxSecurityContext,
    SecurityProfile,
)
from podkeeper.runtime.cri_images import ImageStatus

EMPTY_POD = v1.PodSecurityContext()
EMPTY = v1.SecurityContext()


class RefusedUser(Exception):
    """runAsNonRoot does not hold, or cannot be verified."""


def sandbox_security(pod: v1.Pod) -> SandboxSecurityContext:
    """What the infra container gets: the pod's own settings."""
    context = pod.spec.security_context or EMPTY_POD
    return SandboxSecurityContext(
        namespaces=pod_namespaces(pod),
        run_as_user=context.run_as_user,
        run_as_group=context.run_as_group,
        supplemental_groups=_groups(context),
        privileged=any(_is_privileged(each) for each in _every_container(pod)),
        seccomp=_seccomp(context.seccomp_profile),
    )


def _every_container(pod: v1.Pod) -> Sequence[v1.Container]:
    spec = pod.spec
    return (*spec.init_containers, *spec.containers)


def _is_privileged(container: v1.Container) -> bool:
    return bool(container.security_context and container.security_context.privileged)


def pod_namespaces(pod: v1.Pod, target_id: str = "") -> NamespaceOptions:
    """hostNetwork, hostPID, hostIPC and shareProcessNamespace; ``target_id`` is an ephemeral container's target."""
    spec = pod.spec
    pid = NamespaceMode.CONTAINER
    if spec.host_pid:
        pid = NamespaceMode.NODE
    elif spec.share_process_namespace:
        pid = NamespaceMode.POD
    elif target_id:
        pid = NamespaceMode.TARGET
    return NamespaceOptions(
        network=NamespaceMode.NODE if uses_host_network(pod) else NamespaceMode.POD,
        pid=pid,
        ipc=NamespaceMode.NODE if spec.host_ipc else NamespaceMode.POD,
        target_id=target_id if pid is NamespaceMode.TARGET else "",
    )


def container_security(
    pod: v1.Pod, container: v1.Container, image: ImageStatus, target_id: str = ""
) -> ContainerSecurityContext:
    """The merged context. Raises RefusedUser when runAsNonRoot is not known to hold."""
    pod_context = pod.spec.security_context or EMPTY_POD
    own = container.security_context or EMPTY
    user = own.run_as_user if own.run_as_user is not None else pod_context.run_as_user
    group = own.run_as_group if own.run_as_group is not None else pod_context.run_as_group
    non_root = own.run_as_non_root if own.run_as_non_root is not None else pod_context.run_as_non_root
    if non_root:
        _verify_non_root(pod, container, user, image)
    numeric = image.user.partition(":")[0]
    privileged = bool(own.privileged)
    capabilities = own.capabilities or v1.Capabilities()
    unmasked = own.proc_mount == "Unmasked"
    return ContainerSecurityContext(
        privileged=privileged,
        add_capabilities=_capability_names(capabilities.add),
        drop_capabilities=_capability_names(capabilities.drop),
        namespaces=pod_namespaces(pod, target_id),
        run_as_user=user,
        run_as_username="" if user is not None else numeric,
        run_as_group=group,
        supplemental_groups=_groups(pod_context),
        strict_groups=pod_context.supplemental_groups_policy == "Strict",
        readonly_rootfs=bool(own.read_only_root_filesystem),
        no_new_privs=_no_new_privileges(own),
        masked_paths=() if unmasked else None,
        readonly_paths=() if unmasked else None,
        seccomp=_seccomp(own.seccomp_profile or pod_context.seccomp_profile),
        apparmor=_apparmor(own.app_armor_profile or pod_context.app_armor_profile),
    )


def _verify_non_root(pod: v1.Pod, container: v1.Container, user: int | None, image: ImageStatus) -> None:
    where = f'(pod: "{format_pod(pod)}", container: {container.name})'
    if user is not None:
        if user == 0:
            raise RefusedUser(f"container's runAsUser breaks non-root policy {where}")
        return
    name = image.user.partition(":")[0]
    if name and not name.isdecimal():
        raise RefusedUser(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {where}"
        )
    if not name or int(name) == 0:
        raise RefusedUser(f"container has runAsNonRoot and image will run as root {where}")


def _no_new_privileges(context: v1.SecurityContext) -> bool:
    """allowPrivilegeEscalation: false, which privileged and CAP_SYS_ADMIN exclude (validation refuses the pair)."""
    return context.allow_privilege_escalation is False


def _capability_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.upper().removeprefix("CAP_") for name in names)


def _groups(context: v1.PodSecurityContext) -> tuple[int, ...]:
    own = tuple(context.supplemental_groups)
    return own if context.fs_group is None else (*own, context.fs_group)


def _seccomp(profile: v1.SeccompProfile | None) -> SecurityProfile:
    """Unconfined unless asked for, as upstream's seccompDefault: false."""
    if profile is None:
        return SecurityProfile("Unconfined")
    return SecurityProfile(profile.type, profile.localhost_profile or "")


def _apparmor(profile: v1.AppArmorProfile | None) -> SecurityProfile:
    if profile is None:
        return SecurityProfile()
    return SecurityProfile(profile.type, profile.localhost_profile or "")
