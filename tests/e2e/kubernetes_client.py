"""The Python client's larger parts on a cluster: informer, leader election, YAML, its asyncio half, forwarded ports.

Run inside its network: kubernetes_client.py objects KUBECONFIG, pods KUBECONFIG POD, account DIRECTORY. Prints the name
of each part that went well.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import aio, client, config, dynamic, utils
from kubernetes.client.exceptions import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.stream import portforward

NAMESPACE = "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "yaml"}, "data": {"a": "1"}},
    {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "yaml"}, "stringData": {"a": "b"}},
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "yaml"},
                "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
            },
        ],
    },
]


def refusal(call: Callable[[], object]) -> Exception:
    """The error that a call raises."""
    try:
        call()
    except (ApiException, utils.FailToCreateError) as error:
        return error
    raise AssertionError("it was taken")


def an_informer_follows(place: str) -> None:
    core = client.CoreV1Api()
    told: queue.Queue[tuple[str, str]] = queue.Queue()
    informer = SharedInformer(core.list_namespaced_config_map, namespace=NAMESPACE, label_selector="seen=yes")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda found, kind=kind: told.put((kind, found.metadata.name)))
    labels = {"seen": "yes"}
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "early", "labels": labels}})
    informer.start()
    assert told.get(timeout=20) == ("ADDED", "early")
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "late", "labels": labels}})
    assert told.get(timeout=20) == ("ADDED", "late")
    core.patch_namespaced_config_map("late", NAMESPACE, {"data": {"a": "b"}})
    assert told.get(timeout=20) == ("MODIFIED", "late")
    core.delete_namespaced_config_map("late", NAMESPACE)
    assert told.get(timeout=20) == ("DELETED", "late")
    assert [each.metadata.name for each in informer.cache.list()] == ["early"]


def a_leader_is_elected(place: str) -> None:
    leads = threading.Event()
    lock = LeaseLock("python", NAMESPACE, "candidate-1")
    chosen = electionconfig.Config(lock, 17, 15, 5, leads.set, None)
    threading.Thread(target=leaderelection.LeaderElection(chosen).run, daemon=True).start()
    assert leads.wait(20)
    lease = client.CoordinationV1Api().read_namespaced_lease("python", NAMESPACE)
    assert (lease.spec.holder_identity, lease.spec.lease_duration_seconds) == ("candidate-1", 17)
    second = electionconfig.Config(LeaseLock("python", NAMESPACE, "candidate-2"), 17, 15, 5, leads.set, None)
    assert not leaderelection.LeaderElection(second).try_acquire_or_renew()


def documents_are_created_and_applied(place: str) -> None:
    api = client.ApiClient()
    utils.create_from_yaml(api, yaml_objects=DOCUMENTS, namespace=NAMESPACE)
    core = client.CoreV1Api()
    assert core.read_namespaced_secret("yaml", NAMESPACE).data == {"a": "Yg=="}
    again = refusal(lambda: utils.create_from_yaml(api, yaml_objects=DOCUMENTS, namespace=NAMESPACE))
    assert isinstance(again, utils.FailToCreateError)
    assert [each.status for each in again.api_exceptions] == [409, 409, 409]
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    applied = maps.server_side_apply(
        body=DOCUMENTS[0] | {"data": {"b": "2"}}, name="yaml", namespace=NAMESPACE, field_manager="py"
    )
    assert applied.data.to_dict() == {"a": "1", "b": "2"}


def streams_of_a_pod(place: str, name: str) -> None:
    core = client.CoreV1Api()
    assert core.read_namespaced_pod_log(name, NAMESPACE, tail_lines=1) == "two\n"
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, name, NAMESPACE, ports="80")
    http = forwarded.socket(80)
    http.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert http.recv(7) == b"HTTP/1."
    assert forwarded.error(80) is None


def its_other_half_is_asynchronous(place: str, name: str) -> None:
    asyncio.run(a_watch_asynchronously(place))
    asyncio.run(a_command_asynchronously(place, name))


async def a_watch_asynchronously(place: str) -> None:
    await aio.config.load_kube_config(place)
    async with aio.client.ApiClient() as api:
        core = aio.client.CoreV1Api(api)
        start = (await core.list_namespaced_config_map(NAMESPACE)).metadata.resource_version
        await core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "aio"}})
        await core.delete_namespaced_config_map("aio", NAMESPACE)
        seen = []
        options = {"resource_version": start, "field_selector": "metadata.name=aio", "timeout_seconds": 20}
        async with aio.watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, **options) as stream:
            async for event in stream:
                seen.append((event["type"], event["object"].metadata.name))
                if event["type"] == "DELETED":
                    break
        assert seen == [("ADDED", "aio"), ("DELETED", "aio")], seen


async def a_command_asynchronously(place: str, name: str) -> None:
    await aio.config.load_kube_config(place)
    async with aio.stream.WsApiClient() as api:
        core = aio.client.CoreV1Api(api)
        words = ["sh", "-c", "echo good; echo bad >&2"]
        said = await core.connect_get_namespaced_pod_exec(name, NAMESPACE, command=words, stdout=True, stderr=True)
        assert sorted(said.split()) == ["bad", "good"], said


def as_an_account(place: str) -> None:
    who = client.AuthenticationV1Api().create_self_subject_review({})
    assert who.status.user_info.username == "system:serviceaccount:kubernetes:robot"
    client.CoreV1Api().list_namespaced_pod(NAMESPACE)
    refused = refusal(lambda: client.CoreV1Api().list_namespaced_secret(NAMESPACE))
    assert isinstance(refused, ApiException)
    assert refused.status == 403


PARTS = {
    "objects": (an_informer_follows, a_leader_is_elected, documents_are_created_and_applied),
    "pods": (streams_of_a_pod, its_other_half_is_asynchronous),  # the asynchronous half loads slowly: once
    "account": (as_an_account,),
}


def main(part: str, place: str, *arguments: str) -> None:
    """Goes through one part."""
    if part == "account":
        files = [str(Path(place) / name) for name in ("token", "ca.crt")]
        config.incluster_config.InClusterConfigLoader(*files, environ=os.environ).load_and_set()
    else:
        config.load_kube_config(place)
    for check in PARTS[part]:
        check(place, *arguments)
        print(check.__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
