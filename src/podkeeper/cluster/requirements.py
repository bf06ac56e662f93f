"""What this machine must have before a cluster can start, checked by name, with the way to get it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.settings import Settings
from podkeeper.foundation import mounts

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
    loopback = Path("/sys/class/net/lo/operstate")
    if loopback.exists() and loopback.read_text().strip() == "down":
        raise ClusterError("the loopback interface is down in this network namespace", "ip link set lo up")


def check_file_system(directory: Path) -> None:
    """Raises ClusterError when containers' root file systems (overlayfs) cannot lie in ``directory``. Tries it."""
    place = Path(tempfile.mkdtemp(prefix="overlay-probe-", dir=directory))
    parts = {name: place / name for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir()
    options = [f"{name}dir={_escaped(parts[name])}" for name in ("lower", "upper", "work")]
    try:
        mounts.mount("overlay", parts["merged"], "overlay", 0, ",".join(options))
    except OSError as error:
        below = mounts.mount_of(directory)
        if error.errno == errno.ENODEV:
            raise ClusterError("the kernel has no overlay file system for containers", "modprobe overlay") from error
        raise ClusterError(
            f"containers' root file systems cannot be made in {directory}, which is on {below.filesystem}: {error}",
            "give --data-dir a directory on ext4, xfs, btrfs or tmpfs",
        ) from error
    finally:
        mounts.remove_tree(place)


def _escaped(path: Path) -> str:
    """As a mount option: commas and colons separate there."""
    return re.sub(r"([\\,:])", r"\\\1", str(path))


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
