"""What /metrics tells of the process and of the program, with the names that every exporter uses."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from podkeeper.foundation.exposition import Family, Labels, single

_STARTED = time.time()
_PAGE = resource.getpagesize()


def families(version: Mapping[str, str]) -> Sequence[Family]:
    """process_* and kubernetes_build_info. ``version`` is what /version answers."""
    build = _build(version)
    return (
        single("process_cpu_seconds_total", "counter", "Processor time in seconds.", time.process_time),
        single("process_resident_memory_bytes", "gauge", "Memory in use.", lambda: _pages(1) * _PAGE),
        single("process_virtual_memory_bytes", "gauge", "Memory addressed.", lambda: _pages(0) * _PAGE),
        single("process_open_fds", "gauge", "Open descriptors.", lambda: len(os.listdir("/proc/self/fd"))),
        single(
            "process_max_fds", "gauge", "Descriptors allowed.", lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        ),
        single("process_start_time_seconds", "gauge", "Start of the process since the epoch.", lambda: _STARTED),
        Family("kubernetes_build_info", "gauge", "The version that is served, always 1.", lambda: [(build, 1)]),
    )


def _pages(field: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[field])


def _build(version: Mapping[str, str]) -> Labels:
    names = {
        "build_date": "buildDate",
        "compiler": "compiler",
        "git_commit": "gitCommit",
        "git_tree_state": "gitTreeState",
        "git_version": "gitVersion",
        "go_version": "goVersion",
        "major": "major",
        "minor": "minor",
        "platform": "platform",
    }
    return {label: str(version.get(field, "")) for label, field in names.items()}
