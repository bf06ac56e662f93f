"""What this machine must have before a cluster can start, checked by name, with the way to get it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from podkeeper.cluster.errors import ClusterError

#: program -> the Debian and Ubuntu package that has it
PROGRAMS = {"conmon": "conmon", "nft": "nftables"}
OCI_RUNTIMES = ("crun", "runc")


def check_machine() -> None:
    """Raises ClusterError for the first thing that is missing."""
    if sys.platform != "linux":
        raise ClusterError(f"podkeeper runs on Linux, this is {sys.platform}", "use a Linux machine or a virtual one")
    if os.geteuid() != 0:
        raise ClusterError("podkeeper starts containers and needs root", "run the same command with sudo")
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if not any(shutil.which(program) for program in OCI_RUNTIMES):
        missing.append("crun")
    if missing:
        raise ClusterError(f"missing on this machine: {', '.join(missing)}", f"apt-get install {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text() and shutil.which("modprobe") is None:
        raise ClusterError("the kernel has no overlay file system", "load the module overlay")
    loopback = Path("/sys/class/net/lo/operstate")
    if loopback.exists() and loopback.read_text().strip() == "down":
        raise ClusterError("the loopback interface is down in this network namespace", "ip link set lo up")
