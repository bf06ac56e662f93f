"""Compiled seccomp profiles, so that each is compiled once per directory instead of once per container (30 ms).

crun leaves the program that it made of a profile in its state directory, and takes one from an annotation instead of
making it. The profile stays in the spec beside the annotation: a crun that knows no such annotation compiles it as
before.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from podkeeper.runtime.engine.directories import write_atomically
from podkeeper.runtime.engine.oci_runtime import OciRuntime

ANNOTATION = "run.oci.seccomp_bpf_data"


class FilterCache:
    """The compiled profiles in ``directory``, named by a digest of the profile."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._programs: dict[str, str] = {}

    def apply(self, spec: dict[str, Any], runtime: OciRuntime) -> dict[str, Any]:
        """``spec`` with its profile's program, when it is known. Only crun takes one."""
        profile = spec["linux"].get("seccomp")
        if profile is None or runtime.name != "crun":
            return spec
        program = self._program(_name(profile))
        return spec | {"annotations": {ANNOTATION: program}} if program else spec

    def harvest(self, bundle: Path, runtime: OciRuntime, container_id: str) -> None:
        """Keeps the program that crun has made for a container just created from ``bundle``, if it is a new one."""
        compiled = runtime.state / container_id / "seccomp.bpf"
        if runtime.name != "crun" or not compiled.exists():
            return
        spec = json.loads((bundle / "config.json").read_text())
        program = b"" if ANNOTATION in spec.get("annotations", {}) else compiled.read_bytes()
        if program:
            write_atomically(self._directory / _name(spec["linux"]["seccomp"]), program)

    def _program(self, name: str) -> str:
        if name not in self._programs:
            try:
                self._programs[name] = base64.b64encode((self._directory / name).read_bytes()).decode()
            except FileNotFoundError:
                return ""
        return self._programs[name]


def _name(profile: Any) -> str:
    return f"{hashlib.sha256(json.dumps(profile, sort_keys=True).encode()).hexdigest()}.bpf"
