"""Finds what a request is about, with upstream's answers when it is not there."""

from __future__ import annotations

from aiohttp import web

from podkeeper.kubelet.pod_worker import PodWorker
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.pods import container_named
from podkeeper.runtime.cri import ContainerState, ContainerStatus


def find_pod(workers: PodWorkers, request: web.Request) -> PodWorker:
    """The worker of the pod that the path names. 404 when it is not on this node."""
    namespace, name = request.match_info["namespace"], request.match_info["pod"]
    uid = request.match_info.get("uid", "")
    worker = workers.worker(uid) if uid else workers.find(namespace, name)
    if worker is None:
        raise web.HTTPNotFound(text=f'pod "{name}" not found in namespace "{namespace}"')
    return worker


def running_container(worker: PodWorker, name: str) -> ContainerStatus:
    """The container of that name, if it runs. 404 otherwise."""
    latest = worker.runtime.latest(name)
    if latest is None or latest.state is not ContainerState.RUNNING:
        raise web.HTTPNotFound(text=f'container not found ("{name}")')
    return latest


def logged_container(worker: PodWorker, name: str, *, previous: bool) -> ContainerStatus:
    """The container whose log is asked for. 400 with the reason when there is none."""
    pod = worker.pod.metadata.name
    if container_named(worker.pod, name) is None:
        raise web.HTTPBadRequest(text=f'container "{name}" in pod "{pod}" is not available')
    begun = [each for each in worker.runtime.history(name) if each.state is not ContainerState.CREATED]
    if previous:
        ended = begun if _is_held(worker, name) else begun[1:]
        if not ended:
            raise web.HTTPBadRequest(text=f'previous terminated container "{name}" in pod "{pod}" not found')
        return ended[0]
    if not begun:
        reason = worker.waiting_reason(name)
        raise web.HTTPBadRequest(text=f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
    return begun[0]


def _is_held(worker: PodWorker, name: str) -> bool:
    """Whether the newest container has ended and another one is to come, so that it is the previous one already."""
    latest = worker.runtime.latest(name)
    return latest is not None and latest.state is ContainerState.EXITED and bool(worker.waiting_reason(name))
