"""AppArmor profiles that a new pod's annotations ask for, as older clients do, become those of its containers.

Source: Kubernetes KEP-24, "Version skew strategy".
"""

from __future__ import annotations

from typing import Any

from podkeeper.api.warnings.containers import APPARMOR, NO_APPARMOR

Tree = dict[str, Any]

_LOCALHOST = "localhost/"
_PLAIN = {"runtime/default": {"type": "RuntimeDefault"}, "unconfined": {"type": "Unconfined"}}
_LONGEST = 4095


def take_over(pod: Tree, warnings: list[str]) -> None:
    """Makes annotations fields, in place, and says in ``warnings`` that fields are asked for."""
    annotations = pod["metadata"].get("annotations")
    if not annotations or (pod["spec"].get("os") or {}).get("name") == "windows":
        return
    whole = (pod["spec"].get("securityContext") or {}).get("appArmorProfile")
    for member in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod["spec"].get(member) or ():
            key = f"{APPARMOR}{container.get('name')}"
            if key not in annotations or (container.get("securityContext") or {}).get("appArmorProfile"):
                continue
            profile = _profile(annotations[key])
            if profile is not None and profile == whole:
                continue
            if profile is not None:
                container["securityContext"] = (container.get("securityContext") or {}) | {"appArmorProfile": profile}
            warnings.append(f"metadata.annotations[{key}]: {NO_APPARMOR}")


def _profile(annotation: str) -> Tree | None:
    """The profile that an annotation means; None for one that means nothing."""
    if annotation in _PLAIN:
        return dict(_PLAIN[annotation])
    name = annotation.removeprefix(_LOCALHOST)
    if name == annotation or not name or name != name.strip() or len(name) > _LONGEST:
        return None
    return {"type": "Localhost", "localhostProfile": name}
