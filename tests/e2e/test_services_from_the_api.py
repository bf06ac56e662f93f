"""Services with real pods behind them: slices, proxying by the API server, budgets, and another API server."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import CLIENTS, Cluster, eventually

from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair

PROXY = "/api/v1/namespaces/default/services/shop:http/proxy"


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[None]:
    """Two nginx pods behind a service with a named port."""
    server = {
        "name": "nginx",
        "image": "nginx",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "web", "containerPort": 80}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1},
    }
    template = {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [server], "terminationGracePeriodSeconds": 0},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    cluster.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop"},
            "spec": {"selector": {"app": "shop"}, "ports": ports},
        },
    )
    cluster.kubectl("rollout", "status", "deployment/shop", "--timeout=90s")
    eventually(lambda: len(ready(cluster)) == 2)
    yield
    cluster.kubectl("delete", "deployment,service", "shop", "--ignore-not-found")


def slices(cluster: Cluster) -> list[dict[str, Any]]:
    selector = "kubernetes.io/service-name=shop"
    return list(json.loads(cluster.kubectl("get", "endpointslices", "-l", selector, "-o", "json").stdout)["items"])


def ready(cluster: Cluster) -> set[str]:
    return {
        each["addresses"][0]
        for one in slices(cluster)
        for each in one.get("endpoints") or ()
        if each["conditions"]["ready"]
    }


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    return list(json.loads(cluster.kubectl("get", "pods", "-l", "app=shop", "-o", "json").stdout)["items"])


def test_slices_and_endpoints_name_the_pods_that_are_ready(cluster: Cluster, shop: None) -> None:
    addresses = {each["status"]["podIP"] for each in pods(cluster)}
    [one] = slices(cluster)
    assert ready(cluster) == addresses
    assert one["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
    assert {each["nodeName"] for each in one["endpoints"]} == {cluster.node_name}
    listed = cluster.get("endpoints", "shop")["subsets"]
    assert {each["ip"] for each in listed[0]["addresses"]} == addresses


def test_the_api_passes_requests_on_to_a_service_and_to_pods(cluster: Cluster, shop: None) -> None:
    page = cluster.kubectl("get", "--raw", f"{PROXY}/").stdout
    assert "<" in page
    name = pods(cluster)[0]["metadata"]["name"]
    assert cluster.kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{name}/proxy/").stdout == page
    assert cluster.kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{name}:80/proxy/").stdout == page
    assert cluster.kubectl("get", "--raw", f"/api/v1/nodes/{cluster.node_name}/proxy/healthz").stdout == "ok"
    gone = cluster.kubectl("get", "--raw", f"{PROXY}/not-there", check=False)
    assert gone.returncode == 1
    assert "NotFound" in gone.stderr


def test_kubectl_proxy_reaches_the_service(cluster: Cluster, shop: None) -> None:
    command = [*cluster.namespace.enter, str(CLIENTS / "kubectl-1.36"), f"--kubeconfig={cluster.kubeconfig}"]
    with subprocess.Popen([*command, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            address = proxy.stdout.readline().split()[-1]
            program = f"import urllib.request as u; print(u.urlopen('http://{address}{PROXY}').geturl())"
            assert cluster.run(sys.executable, "-c", program).stdout.strip() == f"http://{address}{PROXY}/"
        finally:
            proxy.kill()


def test_a_drain_waits_for_the_budget_and_gets_through(cluster: Cluster, shop: None) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "shop"}}}
    cluster.apply(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "shop"}, "spec": spec}
    )
    try:
        eventually(lambda: cluster.get("pdb", "shop")["status"].get("disruptionsAllowed") == 1)
        first, second = [each["metadata"]["name"] for each in pods(cluster)]
        # Nothing may be scheduled, so the first eviction uses the budget up.
        cluster.kubectl("cordon", cluster.node_name)
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first, "namespace": "default"}}
        path = "/api/v1/namespaces/default/pods/{}/eviction"
        cluster.kubectl("create", "--raw", path.format(first), "-f", "-", input=json.dumps(body))
        eventually(lambda: cluster.get("pdb", "shop")["status"]["currentHealthy"] == 1)
        body["metadata"]["name"] = second
        refused = cluster.kubectl(
            "create", "--raw", path.format(second), "-f", "-", input=json.dumps(body), check=False
        )
        assert "disruption budget" in refused.stderr
        cluster.kubectl("patch", "pdb", "shop", "--type=merge", "-p", '{"spec":{"minAvailable":0}}')
        drained = cluster.kubectl(
            "drain", cluster.node_name, "--pod-selector=app=shop", "--ignore-daemonsets", "--timeout=60s"
        )
        assert "drained" in drained.stdout
    finally:
        cluster.kubectl("uncordon", cluster.node_name)
        cluster.kubectl("delete", "pdb", "shop")
    cluster.kubectl("rollout", "status", "deployment/shop", "--timeout=90s")


@pytest.fixture
def extension(cluster: Cluster, tmp_path: Path) -> Iterator[None]:
    """An extension API server on the node's address, behind a service whose Endpoints are written by hand."""
    authority = Authority.open(tmp_path)
    pair = KeyPair(tmp_path / "serving.crt", tmp_path / "serving.key")
    authority.issue_server(pair, "wardle", ["wardle.default.svc"])
    published = cluster.get("configmap", "extension-apiserver-authentication", "kube-system")["data"]
    (tmp_path / "front-proxy-ca.crt").write_text(published["requestheader-client-ca-file"])
    address, port = cluster.namespace.address, "18443"
    program = [sys.executable, str(Path(__file__).with_name("extension_api_server.py"))]
    words = [*program, address, port, str(pair.certificate), str(pair.key), str(tmp_path / "front-proxy-ca.crt")]
    with subprocess.Popen([*cluster.namespace.enter, *words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        try:
            cluster.apply(*_objects(address, int(port), authority.certificate_pem()))
            yield
        finally:
            server.kill()
            cluster.kubectl("delete", "apiservice", "v1.wardle.example.com", "--ignore-not-found")
            cluster.kubectl("delete", "service", "wardle", "--ignore-not-found")


def _objects(address: str, port: int, authority: bytes) -> list[dict[str, Any]]:
    ports = [{"name": "https", "port": port}]
    service = {"namespace": "default", "name": "wardle"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "wardle"},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "wardle"},
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1.wardle.example.com"},
            "spec": {
                "group": "wardle.example.com",
                "version": "v1",
                "groupPriorityMinimum": 1500,
                "versionPriority": 15,
                "service": service,
                "caBundle": base64.b64encode(authority).decode(),
            },
        },
    ]


def test_another_api_server_answers_under_the_clusters_address(cluster: Cluster, extension: None) -> None:
    cluster.wait("condition=Available", "apiservice/v1.wardle.example.com")
    row = cluster.kubectl("get", "apiservice", "v1.wardle.example.com").stdout.splitlines()[1].split()
    assert row[:3] == ["v1.wardle.example.com", "default/wardle", "True"]
    assert "flunders" in cluster.kubectl("api-resources", "--api-group=wardle.example.com").stdout
    flunder = {"apiVersion": "wardle.example.com/v1", "kind": "Flunder", "metadata": {"name": "a"}}
    cluster.kubectl("create", "--validate=false", "-f", "-", input=json.dumps(flunder))
    made = cluster.get("fl", "a")["metadata"]["annotations"]
    assert made["made-by"] == "kubernetes-admin"
    assert "system:masters" in made["groups"] or "kubeadm:cluster-admins" in made["groups"]
    missing = cluster.kubectl("get", "flunders", "b", check=False)
    assert missing.stderr == 'Error from server (NotFound): flunders.wardle.example.com "b" not found\n'
    refused = cluster.kubectl("get", "flunders", "--as=nobody", check=False)
    assert 'flunders.wardle.example.com is forbidden: User "nobody" cannot list resource' in refused.stderr
    cluster.kubectl("delete", "endpoints", "wardle")
    cluster.wait("condition=Available=false", "apiservice/v1.wardle.example.com")
    gone = cluster.kubectl("get", "--raw", "/apis/wardle.example.com/v1", check=False)
    assert "ServiceUnavailable" in gone.stderr


OLD = ("env", "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false")


def old_kubectl(cluster: Cluster, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """kubectl as clients were before WebSockets: it speaks SPDY."""
    return cluster.run(*OLD, CLIENTS / "kubectl-1.36", f"--kubeconfig={cluster.kubeconfig}", *arguments, **options)


def test_older_clients_exec_over_spdy(cluster: Cluster, shop: None) -> None:
    name = pods(cluster)[0]["metadata"]["name"]
    done = old_kubectl(cluster, "exec", name, "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    text = "x" * 300_000 + "\n"
    given = old_kubectl(cluster, "exec", "-i", name, "--", "cat", input=text)
    assert given.stdout == text


def test_older_clients_attach_over_spdy(cluster: Cluster) -> None:
    options = ("--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--attach", "--rm", "-i")
    script = "read line; echo got $line; exit 3"
    done = old_kubectl(cluster, "run", "once", *options, "--", "sh", "-c", script, input="it\n", check=False)
    assert "got it" in done.stdout
    assert done.returncode == 3


def test_older_clients_forward_ports_over_spdy(cluster: Cluster, shop: None) -> None:
    name = pods(cluster)[0]["metadata"]["name"]
    command = [*cluster.namespace.enter, *OLD, str(CLIENTS / "kubectl-1.36"), f"--kubeconfig={cluster.kubeconfig}"]
    with subprocess.Popen([*command, "port-forward", name, ":80"], stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            address = forward.stdout.readline().split()[2]
            program = f"import urllib.request as u; print(u.urlopen('http://{address}/').status)"
            for _ in range(3):
                assert cluster.run(sys.executable, "-c", program).stdout.strip() == "200"
        finally:
            forward.kill()
