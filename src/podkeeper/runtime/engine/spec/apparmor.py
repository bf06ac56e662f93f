"""``process.apparmorProfile``: a profile of the node by name, where the kernel has AppArmor at all.

The node loads no profile of ours, so RuntimeDefault confines nothing here, as with other engines on such machines.
"""

from __future__ import annotations

from pathlib import Path

from podkeeper.runtime.cri import SecurityProfile
from podkeeper.runtime.failures import RuntimeFailure

_ENABLED = Path("/sys/module/apparmor/parameters/enabled")


def profile(wanted: SecurityProfile, *, enabled: bool | None = None) -> str:
    """The profile's name, "" for none. RuntimeFailure for a profile that cannot be applied."""
    if wanted.type != "Localhost":
        return ""
    if not (_is_enabled() if enabled is None else enabled):
        raise RuntimeFailure(f"cannot apply the AppArmor profile {wanted.localhost_ref!r}: this node has no AppArmor")
    return wanted.localhost_ref


def _is_enabled() -> bool:
    try:
        return _ENABLED.read_text().startswith("Y")
    except FileNotFoundError:
        return False
