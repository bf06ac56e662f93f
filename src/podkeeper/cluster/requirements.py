"""What this machine must have before a cluster can start, checked by name, with the way to get it."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
from pathlib import Path

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.settings import Settings

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


def check_addresses(settings: Settings) -> None:
    """Raises ClusterError when the node's address is none of this machine, or one of its ports is taken."""
    everywhere = "::" if ":" in settings.node_ip else "0.0.0.0"  # noqa: S104 - where the servers listen
    _check_free(settings.node_ip, 0, "")
    _check_free(everywhere, settings.port, "choose another with --port, or stop what uses it")
    _check_free(everywhere, settings.kubelet_port, "the node's server needs it: stop what uses it")


def _check_free(address: str, port: int, advice: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ClusterError(
                    f"{address} is not an address of this machine", "choose one of: ip -brief address show"
                ) from error
            raise ClusterError(f"port {port} cannot be had: {error.strerror}", f"{advice}: ss -ltnp") from error
