"""Pods that do not come up: crashes with back-off, and images that are not to be had."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import Cluster, eventually

Place = Callable[..., None]


def pod(name: str, image: str, policy: str, *command: str) -> dict[str, Any]:
    main = {"name": "a", "image": image, "imagePullPolicy": policy, "command": list(command)}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def place(cluster: Cluster) -> Iterator[Place]:
    """Applies pods, which are not expected to become ready, and deletes them in the end."""
    names: list[str] = []

    def apply(*pods: dict[str, Any]) -> None:
        names.extend(each["metadata"]["name"] for each in pods)
        cluster.apply(*pods)

    yield apply
    cluster.kubectl("delete", "pod", *names, "--ignore-not-found")


def shown(cluster: Cluster, name: str) -> str:
    """The STATUS column of ``kubectl get pod``."""
    return cluster.kubectl("get", "pod", name, "--no-headers").stdout.split()[2]


def status(cluster: Cluster, name: str) -> dict[str, Any]:
    statuses = cluster.get("pod", name)["status"].get("containerStatuses") or [{}]
    return dict(statuses[0])


def events(cluster: Cluster, name: str, reason: str) -> list[str]:
    """Messages of a pod's events of one reason."""
    selector = f"--field-selector=involvedObject.name={name},reason={reason}"
    items = json.loads(cluster.kubectl("get", "events", selector, "-o", "json").stdout)["items"]
    return [each["message"] for each in items]


def test_a_crash_loop_backs_off_and_keeps_the_last_words(cluster: Cluster, place: Place) -> None:
    place(pod("crashing", "busybox", "IfNotPresent", "sh", "-c", "echo last words; exit 3"))
    eventually(lambda: shown(cluster, "crashing") == "CrashLoopBackOff")
    found = status(cluster, "crashing")
    assert found["restartCount"] >= 1
    assert found["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert found["state"]["waiting"]["message"].startswith("back-off ")
    last = found["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    assert cluster.kubectl("logs", "-p", "crashing").stdout == "last words\n"
    backing = eventually(lambda: events(cluster, "crashing", "BackOff"))
    assert backing[0].startswith("Back-off restarting failed container a in pod crashing_default(")


def test_logs_of_a_previous_container_that_never_was(cluster: Cluster, place: Place) -> None:
    place(pod("first", "busybox", "IfNotPresent", "sleep", "600"))
    cluster.wait("condition=Ready", "pod/first")
    done = cluster.kubectl("logs", "-p", "first", check=False)
    assert done.returncode == 1
    assert 'previous terminated container "a" in pod "first" not found' in done.stderr


def test_an_image_that_must_be_there_and_is_not(cluster: Cluster, place: Place) -> None:
    place(pod("never", "nobody.invalid/none:1", "Never"))
    eventually(lambda: shown(cluster, "never") == "ErrImageNeverPull")
    message = 'Container image "nobody.invalid/none:1" is not present with pull policy of Never'
    assert status(cluster, "never")["state"]["waiting"]["message"] == message
    assert message in eventually(lambda: events(cluster, "never", "ErrImageNeverPull"))
    assert not events(cluster, "never", "Pulling")


@pytest.fixture
def registry(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """A registry on the node's loopback that has nothing: every path is 404."""
    words = [*cluster.namespace.enter, "python3", "-m", "http.server", "5999", "--bind", "127.0.0.1"]
    server = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        probe = "import socket; socket.create_connection(('127.0.0.1', 5999)).close()"
        eventually(lambda: cluster.run("python3", "-c", probe, check=False).returncode == 0)
        yield "127.0.0.1:5999"
    finally:
        server.kill()
        server.wait()


def test_a_missing_image_is_tried_again_with_back_off(cluster: Cluster, place: Place, registry: str) -> None:
    image = f"{registry}/none:1"
    place(pod("missing", image, "IfNotPresent"))
    eventually(lambda: shown(cluster, "missing") == "ImagePullBackOff")
    assert f'Pulling image "{image}"' in events(cluster, "missing", "Pulling")
    failed = eventually(lambda: [each for each in [events(cluster, "missing", "Failed")] if len(each) > 1])[0]
    assert any(each.startswith(f'Failed to pull image "{image}": ') and "not found" in each for each in failed), failed
    assert "Error: ErrImagePull" in failed
    assert eventually(lambda: f'Back-off pulling image "{image}"' in str(events(cluster, "missing", "BackOff")))
    # It starts as soon as the pod names an image that is there.
    cluster.kubectl("set", "image", "pod/missing", "a=nginx")
    cluster.wait("condition=Ready", "pod/missing")


def test_a_registry_that_cannot_be_reached(cluster: Cluster, place: Place) -> None:
    place(pod("unreachable", "127.0.0.1:1/none:1", "IfNotPresent"))
    eventually(lambda: "Error: ErrImagePull" in events(cluster, "unreachable", "Failed"))
    assert status(cluster, "unreachable")["state"]["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
