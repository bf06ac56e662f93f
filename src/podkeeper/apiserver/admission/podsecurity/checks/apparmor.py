"""appArmorProfile: no pod or container turns AppArmor off."""

from __future__ import annotations

import json

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Tree, Violation, plural, quoted, setters

_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
_ALLOWED = frozenset({"RuntimeDefault", "Localhost"})


def apparmor_profile(pod: PodView) -> Violation | None:
    """Baseline since 1.0; the fields are looked at in every version."""
    kinds: set[str] = set()

    def is_bad(security: Tree) -> bool:
        profile = security.get("appArmorProfile")
        if profile is None or profile.get("type") in _ALLOWED:
            return False
        kinds.add(profile.get("type") or "")
        return True

    on_pod, bad = is_bad(pod.security), pod.named(is_bad)
    details = []
    if kinds:
        details.append(f"{setters(on_pod, bad)} must not set AppArmor profile type to {quoted(sorted(kinds))}")
    notes = sorted(f"{key}={json.dumps(value)}" for key, value in pod.annotations.items() if _is_bad_note(key, value))
    details += notes
    if not details:
        return None
    reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", len(kinds) + len(notes))
    return Violation(reason, ", ".join(details))


def _is_bad_note(key: str, value: str) -> bool:
    return key.startswith(_PREFIX) and bool(value) and value != "runtime/default" and not value.startswith("localhost/")
