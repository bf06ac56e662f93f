"""Upstream's published behaviours of kubectl, step by step, with containers; docs/conformance.md names them."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from client_programs import in_a_namespace
from cluster_harness import CLIENTS, Cluster, eventually

NAMESPACE = "conformance-cli"
IMAGE = "docker.io/library/busybox"
LABELS = {"app": "agnhost", "role": "primary"}
PULL = "--image-pull-policy=IfNotPresent"
Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    def run(*words: str, stdin: str | None = None) -> str:
        return cluster.kubectl("-n", NAMESPACE, *words, input=stdin, timeout=60).stdout

    with in_a_namespace(cluster, NAMESPACE):
        yield run


@pytest.fixture(scope="module")
def primary(kubectl: Kubectl) -> str:
    """A replication controller with one running pod, and a service of both names."""
    main = {
        "name": "agnhost-primary",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "6000"],
        "ports": [{"name": "agnhost-server", "containerPort": 6379}],
    }
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [main], "terminationGracePeriodSeconds": 0}}
    metadata = {"name": "agnhost-primary", "labels": LABELS}
    spec = {"replicas": 1, "selector": LABELS, "template": template}
    ports = [{"port": 6379, "targetPort": "agnhost-server"}]
    objects = (
        {"apiVersion": "v1", "kind": "ReplicationController", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": LABELS, "ports": ports}},
    )
    for each in objects:
        kubectl("create", "-f", "-", stdin=json.dumps(each))
    eventually(lambda: len(running(kubectl)) == 1)
    return "agnhost-primary"


def running(kubectl: Kubectl) -> list[str]:
    """Names of the controller's pods that run."""
    words = ("get", "pods", "-l", "app=agnhost", "--field-selector=status.phase=Running", "-o", "name")
    return kubectl(*words).split()


def check(output: str, *wanted: tuple[str, ...]) -> None:
    """Some lines have the wanted words, in the order of what is wanted."""
    lines = iter(output.splitlines())
    for words in wanted:
        assert any(all(word in line for word in words) for line in lines), f"{words} not in\n{output}"


def test_api_versions_and_cluster_info_and_version(kubectl: Kubectl) -> None:
    assert "v1" in kubectl("api-versions").split()
    told = kubectl("cluster-info")
    assert "Kubernetes control plane" in told
    assert "is running at" in told
    version = kubectl("version")
    for item in ("Client Version: ", "Server Version: "):
        assert re.search(item + r"v\d\.\d+\.[\d\w\-\.\+]+", version), version


def test_describe_prints_what_matters(cluster: Cluster, kubectl: Kubectl, primary: str) -> None:
    for pod in running(kubectl):
        check(
            kubectl("describe", pod), ("Name:", "agnhost-primary-"), ("Namespace:", NAMESPACE), ("Node:",),
            ("Labels:", "app=agnhost"), ("role=primary",), ("Annotations:",), ("Status:", "Running"), ("IP:",),
            ("Controlled By:", "ReplicationController/agnhost-primary"), ("Image:", IMAGE), ("State:", "Running"),
            ("QoS Class:", "BestEffort"),
        )  # fmt: skip
    check(
        kubectl("describe", "rc", primary), ("Name:", primary), ("Namespace:", NAMESPACE),
        ("Selector:", "app=agnhost,role=primary"), ("Labels:", "app=agnhost"), ("role=primary",), ("Annotations:",),
        ("Replicas:", "1 current", "1 desired"),
        ("Pods Status:", "1 Running", "0 Waiting", "0 Succeeded", "0 Failed"), ("Pod Template:",), ("Image:", IMAGE),
        ("Events:",),
    )  # fmt: skip
    check(
        kubectl("describe", "service", primary), ("Name:", primary), ("Namespace:", NAMESPACE),
        ("Labels:", "app=agnhost"), ("role=primary",), ("Annotations:",), ("Selector:", "app=agnhost", "role=primary"),
        ("Type:", "ClusterIP"), ("IP:",), ("Port:", "<unset>", "6379/TCP"), ("Endpoints:",),
        ("Session Affinity:", "None"),
    )  # fmt: skip
    check(
        kubectl("describe", "node", cluster.node_name), ("Name:", cluster.node_name), ("Labels:",), ("Annotations:",),
        ("CreationTimestamp:",), ("Conditions:",),
        ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"), ("Addresses:",),
        ("Capacity:",), ("Kernel Version:",), ("OS Image:",), ("Container Runtime Version:",), ("Kubelet Version:",),
        ("Pods:",),
    )  # fmt: skip
    check(
        kubectl("describe", "namespace", NAMESPACE), ("Name:", NAMESPACE), ("Labels:",), ("Annotations:",),
        ("Status:", "Active"),
    )  # fmt: skip


def test_expose_makes_services_of_a_controller_and_of_a_service(kubectl: Kubectl, primary: str) -> None:
    def check_service(name: str, port: int) -> None:
        selector = f"kubernetes.io/service-name={name}"

        def ports() -> list[tuple[int, str]]:
            found = json.loads(kubectl("get", "endpointslices", "-l", selector, "-o", "json"))["items"]
            return [
                (each["port"], endpoint["targetRef"]["kind"])
                for one in found
                for endpoint in one.get("endpoints") or ()
                for each in one["ports"]
            ]

        assert eventually(ports) == [(6379, "Pod")]
        (service,) = json.loads(kubectl("get", "service", name, "-o", "json"))["spec"]["ports"]
        assert (service["port"], service["targetPort"]) == (port, 6379)

    kubectl("expose", "rc", primary, "--name=rm2", "--port=1234", "--target-port=6379")
    check_service("rm2", 1234)
    kubectl("expose", "service", "rm2", "--name=rm3", "--port=2345", "--target-port=6379")
    check_service("rm3", 2345)


def test_patch_annotates_the_pods_of_a_controller(kubectl: Kubectl, primary: str) -> None:
    for pod in running(kubectl):
        kubectl("patch", pod, "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    annotations = "jsonpath={.items[*].metadata.annotations.x}"
    assert kubectl("get", "pods", "-l", "app=agnhost", "-o", annotations) == "y"


def test_a_label_is_set_and_taken(kubectl: Kubectl, primary: str) -> None:
    (pod,) = running(kubectl)
    kubectl("label", pod, "testing-label=testing-label-value")
    assert "testing-label-value" in kubectl("get", pod, "-L", "testing-label")
    kubectl("label", pod, "testing-label-")
    assert "testing-label-value" not in kubectl("get", pod, "-L", "testing-label")


def test_a_controller_is_scaled_and_stopped(kubectl: Kubectl, primary: str) -> None:
    kubectl("scale", "rc", primary, "--replicas=2", "--timeout=30s")
    eventually(lambda: len(running(kubectl)) == 2)
    assert kubectl("get", "rc", primary, "-o", "jsonpath={.status.replicas}") == "2"
    kubectl("scale", "rc", primary, "--replicas=1", "--timeout=30s")
    eventually(lambda: len(kubectl("get", "pods", "-l", "app=agnhost", "-o", "name").split()) == 1)
    kubectl("scale", "rc", primary, "--replicas=2", "--timeout=30s")
    eventually(lambda: len(running(kubectl)) == 2)
    kubectl("delete", "rc", primary, "--grace-period=0", "--force", "--cascade=foreground", "--timeout=30s")
    assert kubectl("get", "rc,pods", "-l", "app=agnhost", "-o", "name") == ""


def test_diff_finds_the_difference_of_a_deployment(cluster: Cluster, kubectl: Kubectl) -> None:
    manifest = kubectl(
        "create", "deployment", "httpd", "--image=httpd", "--replicas=0", "--dry-run=client", "-o", "json"
    )
    kubectl("create", "-f", "-", stdin=manifest)
    other = manifest.replace('"image": "httpd"', '"image": "busybox"')
    done = cluster.kubectl("-n", NAMESPACE, "diff", "-f", "-", input=other, check=False)
    assert done.returncode == 1
    check(done.stdout, ("-", "image: httpd"), ("+", "image: busybox"))
    kubectl("delete", "deployment", "httpd")


def test_run_makes_a_pod_that_runs_once(kubectl: Kubectl) -> None:
    kubectl("run", "e2e-test-httpd-pod", "--restart=Never", "--pod-running-timeout=2m0s", f"--image={IMAGE}", PULL)
    spec = json.loads(kubectl("get", "pod", "e2e-test-httpd-pod", "-o", "json"))["spec"]
    assert ([each["image"] for each in spec["containers"]], spec["restartPolicy"]) == ([IMAGE], "Never")
    kubectl("delete", "pod", "e2e-test-httpd-pod", "--grace-period=0", "--force")


def test_replace_and_a_dry_run_of_patch(kubectl: Kubectl) -> None:
    name, path = "e2e-test-replaced-pod", "jsonpath={.spec.containers[0].image}"
    kubectl("run", name, f"--image={IMAGE}", PULL, f"--labels=run={name}", "--", "sleep", "600")
    kubectl("wait", "--for=jsonpath={.status.phase}=Running", f"pod/{name}", "--timeout=60s")
    other = f"{IMAGE}:latest"
    patch = {"spec": {"containers": [{"name": name, "image": other}]}}
    kubectl("patch", "pod", name, "-p", json.dumps(patch), "--dry-run=server")
    assert kubectl("get", "pod", name, "-o", path) == IMAGE
    manifest = kubectl("get", "pod", name, "-o", "json")
    kubectl("replace", "-f", "-", stdin=manifest.replace(f'"image": "{IMAGE}"', f'"image": "{other}"', 1))
    assert kubectl("get", "pod", name, "-o", path) == other
    kubectl("delete", "pod", name, "--grace-period=0", "--force")


def test_logs_are_retrieved_and_filtered(kubectl: Kubectl) -> None:
    script = "while sleep 0.1; do echo GET /api/v1/namespaces/kube-system; done"
    kubectl("run", "logs-generator", f"--image={IMAGE}", PULL, "--restart=Never", "--", "sh", "-c", script)
    logs = ("logs", "logs-generator", "logs-generator")
    kubectl("wait", "--for=condition=Ready", "pod/logs-generator", "--timeout=60s")
    eventually(lambda: "/api/v1/namespaces/kube-system" in kubectl(*logs))
    assert kubectl(*logs, "--tail=1").count("\n") == 1
    assert len(kubectl(*logs, "--limit-bytes=1")) == 1
    (line,) = kubectl(*logs, "--tail=1", "--timestamps").splitlines()
    moment, _, rest = line.partition(" ")
    assert rest
    assert datetime.fromisoformat(moment[:19] + "+00:00")
    eventually(lambda: len(kubectl(*logs, "--since=1s").splitlines()) < len(kubectl(*logs, "--since=24h").splitlines()))
    kubectl("delete", "pod", "logs-generator", "--grace-period=0", "--force")


@contextmanager
def proxy(cluster: Cluster, *options: str) -> Iterator[str]:
    """A running kubectl proxy, and the line with which it begins."""
    command = [*cluster.namespace.enter, str(CLIENTS / "kubectl-1.36"), f"--kubeconfig={cluster.kubeconfig}", "proxy"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running.stdout.readline()
        finally:
            running.kill()


def test_the_proxy_chooses_a_port(cluster: Cluster) -> None:
    with proxy(cluster, "--port=0", "--disable-filter") as line:
        port = line.rpartition(":")[2].strip()
        program = f"import urllib.request as u; print(u.urlopen('http://localhost:{port}/api/').read().decode())"
        assert json.loads(cluster.run(sys.executable, "-c", program).stdout)["versions"] == ["v1"]


def test_the_proxy_listens_on_a_socket(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "test"
    with proxy(cluster, f"--unix-socket={path}"):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(path))
        connection.request("GET", "/api")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
    assert answer["versions"] == ["v1"]
