"""appArmorProfile: no pod or container turns AppArmor off."""

from __future__ import annotations

import json

from podkeeper.apiserver.admission.podsecurity.pod import (
    PodView,
    Violation,
    forbidden_profiles,
    plural,
    quoted,
    setters,
)

_PREFIX = "container.apparmor.security.beta.kubernetes.io/"


def apparmor_profile(pod: PodView) -> Violation | None:
    """Baseline since 1.0; the fields are looked at in every version."""
    on_pod, bad, kinds = forbidden_profiles(pod, "appArmorProfile")
    details = []
    if kinds:
        details.append(f"{setters(on_pod, bad)} must not set AppArmor profile type to {quoted(kinds)}")
    notes = sorted(f"{key}={json.dumps(value)}" for key, value in pod.annotations.items() if _is_bad_note(key, value))
    details += notes
    if not details:
        return None
    reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", len(kinds) + len(notes))
    return Violation(reason, ", ".join(details))


def _is_bad_note(key: str, value: str) -> bool:
    return key.startswith(_PREFIX) and bool(value) and value != "runtime/default" and not value.startswith("localhost/")
