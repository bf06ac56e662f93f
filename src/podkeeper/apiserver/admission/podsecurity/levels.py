"""The levels: which checks belong to each, and since which minor version (of Kubernetes 1) in which form.

Baseline comes first, each level by the checks' names, as upstream orders what it says. A restricted check that says
all that a baseline one does takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from msgspec import Struct

from podkeeper.apiserver.admission.podsecurity.checks import (
    apparmor,
    capabilities,
    host_namespaces,
    host_ports,
    host_probes,
    privilege_escalation,
    privileged,
    proc_mount,
    seccomp,
    selinux,
    sysctls,
    users,
    volumes,
    windows,
)
from podkeeper.apiserver.admission.podsecurity.pod import Check, PodView, Violation

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
#: From the freest to the strictest.
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
#: What ``latest`` means.
LATEST_MINOR = 36

_Versions = Mapping[int, Check]

_BASELINE: Mapping[str, _Versions] = {
    "appArmorProfile": {0: apparmor.apparmor_profile},
    "capabilities_baseline": {0: capabilities.default_capabilities},
    "hostNamespaces": {0: host_namespaces.host_namespaces},
    "hostPathVolumes": {0: volumes.host_path_volumes},
    "hostPorts": {0: host_ports.host_ports},
    "hostProbesAndHostLifecycle": {34: host_probes.host_probes},
    "privileged": {0: privileged.privileged},
    "procMount": {0: proc_mount.proc_mount, 35: proc_mount.proc_mount_unless_user_namespace},
    "seLinuxOptions": {0: selinux.selinux_options, 31: selinux.selinux_options_with_engine},
    "seccompProfile_baseline": {0: seccomp.seccomp_annotations, 19: seccomp.seccomp_profile},
    "sysctls": {
        0: sysctls.sysctls_1_0,
        27: sysctls.sysctls_1_27,
        29: sysctls.sysctls_1_29,
        32: sysctls.sysctls_1_32,
    },
    "windowsHostProcess": {0: windows.windows_host_process},
}
_RESTRICTED: Mapping[str, _Versions] = {
    "allowPrivilegeEscalation": {
        8: privilege_escalation.privilege_escalation,
        25: privilege_escalation.privilege_escalation_unless_windows,
    },
    "capabilities_restricted": {
        22: capabilities.dropped_capabilities,
        25: capabilities.dropped_capabilities_unless_windows,
    },
    "procMount_restricted": {35: proc_mount.proc_mount},
    "restrictedVolumes": {0: volumes.restricted_volumes},
    "runAsNonRoot": {0: users.non_root, 35: users.non_root_unless_user_namespace},
    "runAsUser": {23: users.no_root_user, 35: users.no_root_user_unless_user_namespace},
    "seccompProfile_restricted": {
        19: seccomp.required_seccomp_profile,
        25: seccomp.required_seccomp_profile_unless_windows,
    },
}
#: The baseline check that a restricted one replaces.
_REPLACED = {
    "capabilities_restricted": "capabilities_baseline",
    "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}


class LevelVersion(Struct, frozen=True):
    """A level as it was in a version; ``minor`` None is the latest."""

    level: str
    minor: int | None = None

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor is None else f'v1.{self.minor}'}"

    def is_stricter_than(self, other: LevelVersion) -> bool:
        """By level alone."""
        return LEVELS.index(self.level) > LEVELS.index(other.level)


@cache
def checks(wanted: LevelVersion) -> Sequence[Check]:
    """The checks of a level in the order in which they speak."""
    if wanted.level == PRIVILEGED:
        return ()
    minor = LATEST_MINOR if wanted.minor is None else min(wanted.minor, LATEST_MINOR)
    strict = _at(_RESTRICTED, minor) if wanted.level == RESTRICTED else {}
    replaced = {_REPLACED[name] for name in strict if name in _REPLACED}
    usual = {name: check for name, check in _at(_BASELINE, minor).items() if name not in replaced}
    return [*usual.values(), *strict.values()]


def _at(table: Mapping[str, _Versions], minor: int) -> dict[str, Check]:
    """The form of each check in a version; none of those that came later."""
    found = {}
    for name, versions in table.items():
        reached = [since for since in versions if since <= minor]
        if reached:
            found[name] = versions[max(reached)]
    return found


def violations(wanted: LevelVersion, pod: PodView) -> list[Violation]:
    """Everything that keeps a pod from a level."""
    found = (check(pod) for check in checks(wanted))
    return [each for each in found if each is not None]


def detail(found: Sequence[Violation]) -> str:
    """All violations as one text."""
    return ", ".join(map(str, found))
