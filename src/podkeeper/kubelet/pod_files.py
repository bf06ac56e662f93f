"""Where the files of a pod are: volumes, hosts file, termination messages, logs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from podkeeper.api.core import v1
from podkeeper.kubelet.config import KubeletConfig


def pod_dir(config: KubeletConfig, uid: str) -> Path:
    """The pod's own directory."""
    return config.pods_dir / uid


def hosts_path(config: KubeletConfig, uid: str) -> Path:
    """Its managed /etc/hosts."""
    return pod_dir(config, uid) / "etc-hosts"


def log_dir(config: KubeletConfig, pod: v1.Pod) -> Path:
    """Where its containers' logs are: ``LOGS/NAMESPACE_NAME_UID``."""
    meta = pod.metadata
    return config.logs_dir / f"{meta.namespace}_{meta.name}_{meta.uid}"


def log_path(container: str, attempt: int) -> str:
    """A container's log below the pod's log directory."""
    return f"{container}/{attempt}.log"


def next_attempt_by_logs(directory: Path, container: str) -> int:
    """One more than the highest attempt that left a log, for when the runtime has forgotten the container."""
    try:
        names = os.listdir(directory / container)
    except FileNotFoundError:
        return 0
    numbers = [int(name.partition(".")[0]) for name in names if name.partition(".")[0].isdecimal()]
    return max(numbers, default=-1) + 1


def new_termination_log(config: KubeletConfig, uid: str, container: str) -> Path:
    """An empty file for the container's last words, writable by whatever user it runs as."""
    directory = pod_dir(config, uid) / "containers" / container
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / os.urandom(4).hex()
    path.touch()
    path.chmod(0o666)
    return path


def remove_pod_files(config: KubeletConfig, uid: str) -> None:
    """Removes the pod's directory; its volumes must have been torn down."""
    directory = pod_dir(config, uid)
    if directory.exists():
        shutil.rmtree(directory)


def remove_logs(config: KubeletConfig, pod: v1.Pod) -> None:
    """Removes the pod's logs."""
    directory = log_dir(config, pod)
    if directory.exists():
        shutil.rmtree(directory)
