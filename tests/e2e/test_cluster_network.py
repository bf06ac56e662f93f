"""The node's side of pods' network: host ports and pods in the node's own network namespace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster_harness import CLIENTS, Cluster, eventually

Place = Callable[..., None]
PORT = 18080


def pod(name: str, *command: str, ports: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    main = {
        "name": "a",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "ports": ports or [],
    }
    spec = {"containers": [main], "terminationGracePeriodSeconds": 1, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def serve(port: int) -> tuple[str, ...]:
    """A server that says the pod's host name to everyone who connects."""
    return ("sh", "-c", f"while true; do hostname | nc -l -p {port}; done")


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    """Applies pods, waits until they are ready, and deletes them in the end."""
    names: list[str] = []

    def apply(*pods: dict[str, Any], ready: bool = True) -> None:
        names.extend(each["metadata"]["name"] for each in pods)
        cluster.apply(*pods)
        for each in pods if ready else ():
            cluster.wait("condition=Ready", f"pod/{each['metadata']['name']}")

    yield apply
    cluster.kubectl("delete", "pod", *names, "--ignore-not-found")


def said(cluster: Cluster, address: str, port: int) -> str:
    """What a server says to someone on the node; nothing when there is none."""
    code = "import socket,sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).recv(99).decode())"
    return cluster.run("python3", "-c", code, address, str(port), check=False).stdout.strip()


def inside(cluster: Cluster, name: str, *command: str) -> str:
    return cluster.kubectl("exec", name, "--", *command).stdout.strip()


def test_a_host_port_leads_to_the_pod_as_long_as_it_lives(cluster: Cluster, place: Place) -> None:
    node = cluster.namespace.address
    ports = [{"containerPort": 7000, "hostPort": PORT}]
    place(pod("ported", *serve(7000), ports=ports), pod("visitor", "sleep", "600"))
    assert eventually(lambda: said(cluster, node, PORT)) == "ported"
    assert eventually(lambda: said(cluster, "127.0.0.1", PORT)) == "ported"
    assert eventually(lambda: inside(cluster, "visitor", "nc", node, str(PORT))) == "ported"
    place(pod("rival", *serve(7000), ports=ports), ready=False)
    cluster.wait("condition=PodScheduled=False", "pod/rival")
    conditions = cluster.get("pod", "rival")["status"]["conditions"]
    message = next(each["message"] for each in conditions if each["type"] == "PodScheduled")
    assert "1 node(s) didn't have free ports for the requested pod ports" in message
    cluster.kubectl("delete", "pod", "ported")
    cluster.wait("condition=Ready", "pod/rival")  # the port is free again
    assert eventually(lambda: said(cluster, node, PORT)) == "rival"
    cluster.kubectl("delete", "pod", "rival")
    assert said(cluster, node, PORT) == ""


def test_a_host_network_pod_is_on_the_node(cluster: Cluster, place: Place) -> None:
    place(pod("native", *serve(7070), hostNetwork=True))
    status = cluster.get("pod", "native")["status"]
    assert status["podIP"] == status["hostIP"] == cluster.namespace.address
    node = os.stat(f"/run/netns/{cluster.namespace.name}").st_ino
    assert inside(cluster, "native", "readlink", "/proc/self/ns/net") == f"net:[{node}]"
    assert "node0" in inside(cluster, "native", "ls", "/sys/class/net").split()
    assert eventually(lambda: said(cluster, "127.0.0.1", 7070))


@contextmanager
def forwarded(cluster: Cluster, version: str, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """``kubectl port-forward``: the local port that it chose, and the program itself."""
    words = [CLIENTS / f"kubectl-{version}", f"--kubeconfig={cluster.kubeconfig}", "port-forward", *arguments]
    command = [*cluster.namespace.enter, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            assert program.stdout is not None
            line = program.stdout.readline()
            assert line.startswith("Forwarding from 127.0.0.1:"), line
            yield int(line.split(":")[1].split()[0]), program
        finally:
            program.kill()


@pytest.mark.parametrize("version", ["1.36", "1.34"])
def test_kubectl_forwards_a_local_port_into_the_pod(cluster: Cluster, place: Place, version: str) -> None:
    name = f"forwarded-{version.replace('.', '-')}"
    place(pod(name, *serve(7000)))
    with forwarded(cluster, version, f"pod/{name}", ":7000") as (port, _):
        for _ in range(3):  # one connection after the other through one tunnel
            assert eventually(lambda port=port: said(cluster, "127.0.0.1", port)) == name
    with forwarded(cluster, version, f"pod/{name}", ":7999") as (port, program):
        assert said(cluster, "127.0.0.1", port) == ""
        assert program.stdout is not None
        assert "error forwarding port 7999 to pod" in program.stdout.read()  # kubectl gives up then


def test_the_network_of_a_pod_is_gone_with_it(cluster: Cluster, place: Place) -> None:
    def links() -> set[str]:
        lines = cluster.run("ip", "-br", "link", "show", "type", "veth").stdout.splitlines()
        return {line.split("@")[0] for line in lines}

    before = links()
    place(pod("passing", "sleep", "600"))
    assert len(links() - before) == 1
    cluster.kubectl("delete", "pod", "passing")
    eventually(lambda: links() == before)
