"""Leftovers of pods that the API no longer knows: containers are ended as they would have been, then all is removed."""

from __future__ import annotations

import logging
import shutil

from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.cgroups import CgroupError
from podkeeper.kubelet import labels
from podkeeper.kubelet.parts import KubeletParts
from podkeeper.kubelet.pod_files import remove_pod_files
from podkeeper.kubelet.pods import DEFAULT_GRACE_SECONDS
from podkeeper.kubelet.runtime_state import PodRuntime
from podkeeper.kubelet.volumes.pod_volumes import tear_down_volumes
from podkeeper.kubelet.waiting import all_settled
from podkeeper.runtime.failures import RuntimeFailure

log = logging.getLogger(__name__)


def leftover_uids(parts: KubeletParts) -> set[str]:
    """UIDs of pods that have a directory, logs or a cgroup on this node."""
    directories = {each.name for each in parts.config.pods_dir.iterdir()}
    logs = {each.name.rpartition("_")[2] for each in parts.config.logs_dir.iterdir()}
    return directories | logs | parts.cgroups.known_uids()


async def remove_orphan(parts: KubeletParts, uid: str, runtime: PodRuntime) -> None:
    """Ends and removes everything of one pod, until that has succeeded."""
    backoff = BackOff(1.0, 60.0)
    while True:
        try:
            await _remove(parts, uid, runtime)
            return
        except (RuntimeFailure, CgroupError, OSError) as error:
            log.warning("leftovers of pod %s: %s", uid, error)
            await parts.clock.sleep(backoff.next_delay(uid))


async def _remove(parts: KubeletParts, uid: str, runtime: PodRuntime) -> None:
    stops = (
        parts.runtime.stop_container(each.id, labels.grace_from(each.annotations, DEFAULT_GRACE_SECONDS))
        for each in runtime.running()
    )
    await all_settled(*stops)
    for sandbox in runtime.sandboxes:
        await parts.runtime.remove_sandbox(sandbox.id)
    tear_down_volumes(parts.config.pods_dir, uid)
    await parts.cgroups.remove(uid)
    remove_pod_files(parts.config, uid)
    for directory in parts.config.logs_dir.glob(f"*_{uid}"):
        shutil.rmtree(directory)
