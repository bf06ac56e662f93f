"""Security contexts of pods and containers.

Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.paths import descending

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_MAX_ID = 2**31 - 1
_ID_RANGE = names.range_message(0, _MAX_ID)
_PART = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_PART}[\./])*{_PART}$"
_sysctl_pattern = re.compile(rf"({_PART}[./])*{_PART}")
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_KEEPS_ESCALATION = "cannot set `allowPrivilegeEscalation` to false and "


def container_context(found: Found, at: str, context: v1.SecurityContext, host_users: bool | None) -> None:
    """A container's own security context."""
    identity(found, f"{at}.runAsUser", context.run_as_user)
    identity(found, f"{at}.runAsGroup", context.run_as_group)
    if context.proc_mount:
        if context.proc_mount not in ("Default", "Unmasked"):
            found.unsupported(f"{at}.procMount", context.proc_mount, ("Default", "Unmasked"))
        elif context.proc_mount == "Unmasked" and host_users is not False:
            found.invalid(f"{at}.procMount", context.proc_mount, "`hostUsers` must be false to use `Unmasked`")
    profiles(found, at, context)
    if context.allow_privilege_escalation is False:
        if context.privileged:
            found.invalid(at, context, f"{_KEEPS_ESCALATION}`privileged` to true")
        if context.capabilities is not None and "CAP_SYS_ADMIN" in context.capabilities.add:
            found.invalid(at, context, f"{_KEEPS_ESCALATION}`capabilities.Add` CAP_SYS_ADMIN")


def pod_context(found: Found, at: str, spec: v1.PodSpec) -> None:
    """What the pod sets for all its containers, and what excludes itself with its shared namespaces."""
    if spec.host_pid and spec.share_process_namespace:
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.invalid(f"{at}.shareProcessNamespace", True, why)
    if spec.host_users is False:
        shared = (("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc))
        for name, value in shared:
            if value:
                found.forbidden(f"{at.rpartition('.')[0]}.{name}", "when `pod.Spec.HostUsers` is false")
    context = spec.security_context
    if context is None:
        return
    for name, number in (
        ("fsGroup", context.fs_group),
        ("runAsGroup", context.run_as_group),
        ("runAsUser", context.run_as_user),
    ):
        identity(found, f"{at}.{name}", number)
    for path, number in indexed(f"{at}.supplementalGroups", context.supplemental_groups):
        identity(found, path, number)
    _sysctls(found, f"{at}.sysctls", context.sysctls, spec)
    for name, policy, supported in (
        ("fsGroupChangePolicy", context.fs_group_change_policy, ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", context.supplemental_groups_policy, ("Merge", "Strict")),
        ("seLinuxChangePolicy", context.se_linux_change_policy, ("MountOption", "Recursive")),
    ):
        if policy and policy not in supported:
            found.unsupported(f"{at}.{name}", policy, supported)
    profiles(found, at, context)


def identity(found: Found, at: str, number: int | None) -> None:
    """A user's or group's number."""
    if number is not None and not 0 <= number <= _MAX_ID:
        found.invalid(at, number, _ID_RANGE)


def profiles(found: Found, at: str, context: v1.SecurityContext | v1.PodSecurityContext) -> None:
    """Seccomp and AppArmor profiles."""
    if context.seccomp_profile is not None:
        _profile(found, f"{at}.seccompProfile", context.seccomp_profile, "seccomp")
    if context.app_armor_profile is not None:
        _profile(found, f"{at}.appArmorProfile", context.app_armor_profile, "AppArmor")


def _profile(found: Found, at: str, profile: Any, noun: str) -> None:
    if not profile.type:
        found.required(f"{at}.type", f"type is required when {at.rpartition('.')[2]} is set")
    else:
        found.one_of(f"{at}.type", profile.type, _PROFILES)
    local, field = profile.localhost_profile, f"{at}.localhostProfile"
    if profile.type == "Localhost":
        if not local.strip():
            found.required(field, f"must be set when {noun} type is Localhost")
        elif noun == "seccomp":
            descending(found, field, local)
    elif local:
        found.invalid(field, local, f"can only be set when {noun} type is Localhost")


def _sysctls(found: Found, at: str, listed: tuple[v1.Sysctl, ...], spec: v1.PodSpec) -> None:
    seen = set()
    for path, each in indexed(at, listed):
        name = each.name
        if not name:
            found.required(f"{path}.name")
        elif len(name) > names.SUBDOMAIN_LENGTH or not _sysctl_pattern.fullmatch(name):
            found.invalid(f"{path}.name", name, f"must have at most 253 characters and match regex {_SYSCTL}")
        elif name in seen:
            found.duplicate(f"{path}.name", name)
        plain = name.replace("/", ".")
        if spec.host_network and plain.startswith("net."):
            found.invalid(f"{path}.name", name, "may not be specified when 'hostNetwork' is true")
        if spec.host_ipc and plain.startswith(("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            found.invalid(f"{path}.name", name, "may not be specified when 'hostIPC' is true")
        seen.add(name)
