"""What /version says: the Kubernetes release whose API this is, and whose program answers."""

from __future__ import annotations

import platform
import sys
from typing import Any

MAJOR, MINOR = "1", "36"
GIT_VERSION = "v1.36.0+podkeeper"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def info() -> dict[str, Any]:
    """version.Info. ``goVersion`` and ``compiler`` are fields that clients expect; they name what runs here."""
    machine = platform.machine()
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": sys.implementation.name,
        "platform": f"linux/{_ARCHITECTURES.get(machine, machine)}",
    }
