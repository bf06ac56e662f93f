"""``podkeeper status``: what should run, whether it does, and what to look at when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.client.api import Api, ConnectionFailed
from podkeeper.client.kubeconfig import load
from podkeeper.client.rest import RestApi
from podkeeper.cluster import settings
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.supervisor import SupervisorLock


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    well: bool
    text: str


def diagnose(layout: Layout) -> Sequence[Finding]:
    """Looks at the supervisor, the API server, the node and the pods, in the order in which they need each other."""
    chosen = settings.load(layout.settings)
    if chosen is None:
        return [Finding("cluster", False, f"there is none in {layout.root}; start one with: podkeeper up --detach")]
    holder = SupervisorLock(layout).holder()
    if holder is None:
        return [Finding("supervisor", False, "not running; start it with: podkeeper up --detach")]
    findings = [Finding("supervisor", True, f"running as process {holder}")]
    return findings + asyncio.run(_ask_server(layout, chosen))


async def _ask_server(layout: Layout, chosen: settings.Settings) -> list[Finding]:
    api = RestApi(load(layout.admin_kubeconfig), name="podkeeper-status", timeout=5.0)
    try:
        code, _, body = await api.request("GET", "/readyz", query={"verbose": "true"})
        server = Finding("API server", code == 200, f"ready at {chosen.server}" if code == 200 else body.decode())
        return [server, await _node(api, chosen.node_name), await _pods(api)]
    except ConnectionFailed as error:
        return [Finding("API server", False, f"{error}; see {layout.log('apiserver')}")]
    except ApiError as error:
        return [Finding("API server", False, error.message)]
    finally:
        await api.close()


async def _node(api: Api, name: str) -> Finding:
    try:
        node = await api.of(v1.Node).get(name)
    except ApiError as error:
        return Finding(f"node {name}", False, error.message)
    conditions = node.status.conditions if node.status else ()
    ready = next((each for each in conditions if each.type == "Ready"), None)
    if ready is None:
        return Finding(f"node {name}", False, "has not reported yet")
    return Finding(f"node {name}", ready.status == "True", f"Ready={ready.status}: {ready.message}")


async def _pods(api: Api) -> Finding:
    pods = (await api.of(v1.Pod).list()).items
    phases = [pod.status.phase if pod.status else "" for pod in pods]
    ill = [
        f"{pod.metadata.namespace}/{pod.metadata.name}"
        for pod, phase in zip(pods, phases, strict=True)
        if phase not in ("Running", "Succeeded")
    ]
    text = f"{len(pods)} in all, {phases.count('Running')} running"
    return Finding("pods", not ill, text + (f"; not well: {', '.join(ill[:5])}" if ill else ""))
