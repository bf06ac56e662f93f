"""hostPathVolumes and restrictedVolumes: which kinds of volumes a pod may have."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Violation, plural, quoted

_ALLOWED = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def host_path_volumes(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""
    bad = [each.get("name") or "" for each in pod.spec.get("volumes") or () if each.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{plural('volume', 'volumes', len(bad))} {quoted(bad)}") if bad else None


def restricted_volumes(pod: PodView) -> Violation | None:
    """Restricted since 1.0; says what hostPathVolumes says, and more."""
    bad: list[str] = []
    kinds: set[str] = set()
    for volume in pod.spec.get("volumes") or ():
        found = [key for key, value in volume.items() if key != "name" and value is not None]
        if not _ALLOWED.intersection(found):
            bad.append(volume.get("name") or "")
            kinds.add(found[0] if found else "unknown")
    if not bad:
        return None
    volumes, uses = plural("volume", "volumes", len(bad)), plural("uses", "use", len(bad))
    what = plural("restricted volume type", "restricted volume types", len(kinds))
    return Violation("restricted volume types", f"{volumes} {quoted(bad)} {uses} {what} {quoted(sorted(kinds))}")
