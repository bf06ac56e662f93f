"""sysctls: only those that touch nothing but the pod."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import Check, PodView, Violation

_SAFE_1_0 = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SAFE_1_27 = _SAFE_1_0 | {"net.ipv4.ip_local_reserved_ports"}
_SAFE_1_29 = _SAFE_1_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SAFE_1_32 = _SAFE_1_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _only(safe: frozenset[str]) -> Check:
    def sysctls(pod: PodView) -> Violation | None:
        names = [each.get("name") or "" for each in pod.security.get("sysctls") or ()]
        bad = [name for name in names if name not in safe]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return sysctls


#: Baseline; the safe ones become more with the versions.
sysctls_1_0, sysctls_1_27, sysctls_1_29, sysctls_1_32 = map(_only, (_SAFE_1_0, _SAFE_1_27, _SAFE_1_29, _SAFE_1_32))
