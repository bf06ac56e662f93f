"""A container's last words: the file at terminationMessagePath, or the end of its log.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import os
from pathlib import Path

from podkeeper.kubelet import labels
from podkeeper.kubelet.log_format import parse_line
from podkeeper.runtime.cri import ContainerStatus

MAX_MESSAGE = 4096
MAX_LOG_LINES, MAX_LOG_BYTES = 80, 2048


def termination_message(container: ContainerStatus) -> str:
    """What an exited container left, empty for nothing."""
    path = container.annotations.get(labels.TERMINATION_PATH, "")
    source = next((mount.host_path for mount in container.mounts if path and mount.container_path == path), "")
    text = _tail(Path(source), MAX_MESSAGE) if source else ""
    fallback = container.annotations.get(labels.TERMINATION_POLICY) == "FallbackToLogsOnError"
    if not text and fallback and container.exit_code != 0 and container.log_path:
        text = _log_end(Path(container.log_path))
    return text


def _tail(path: Path, limit: int) -> str:
    """The file's last ``limit`` bytes; a container may have removed it or put something odd in its place."""
    return _end_of(path, limit).decode("utf-8", "replace")


def _end_of(path: Path, limit: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(0, size - limit))
        return file.read(limit)


def _log_end(path: Path) -> str:
    entries = _end_of(path, 4 * MAX_LOG_BYTES).split(b"\n")[-MAX_LOG_LINES - 1 :]
    lines = [parse_line(entry) for entry in entries]
    text = b"".join(line.content for line in lines if line is not None)
    return text[-MAX_LOG_BYTES:].decode("utf-8", "replace")
