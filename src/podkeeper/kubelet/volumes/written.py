"""Volumes whose files the kubelet writes itself: where they live and how a payload gets there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from podkeeper.foundation.mounts import mount_tmpfs
from podkeeper.kubelet.volumes.atomic_writer import Payload, write_payload
from podkeeper.kubelet.volumes.ownership import give_to_group
from podkeeper.kubelet.volumes.plugin import VolumeContext


def write_volume(context: VolumeContext, directory: Path, payload: Payload, *, in_memory: bool) -> Path:
    """Makes ``directory`` (a tmpfs where secrets are kept, so that they never reach a disk) and writes into it."""
    fresh = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    if in_memory and not directory.is_mount():
        mount_tmpfs(directory)
    if fresh:
        directory.chmod(0o777)
    write_payload(directory, payload, _stamp(), context.fs_group)
    if context.fs_group is not None and directory.stat().st_gid != context.fs_group:
        give_to_group(directory, context.fs_group, readonly=True)
    return directory


def _stamp() -> str:
    """A directory name that was never used: the time is for the reader, the random part for uniqueness."""
    return time.strftime("%Y_%m_%d_%H_%M_%S", time.gmtime()) + "." + os.urandom(5).hex()
