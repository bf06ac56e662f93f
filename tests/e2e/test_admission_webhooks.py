"""A webhook server as a real program beside a real cluster, reached through a Service without a service proxy."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import Cluster

from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair

PORT = 9443
SERVER = Path(__file__).with_name("webhook_server.py")
LABEL = "webhook.example.com/seen"


@pytest.fixture(scope="module")
def bundle(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The running server behind the Service default/hook; the authority that its certificate is of, as caBundle."""
    directory = tmp_path_factory.mktemp("webhook")
    authority = Authority.open(directory, "ca", "webhook-ca")
    pair = KeyPair(directory / "hook.crt", directory / "hook.key")
    authority.issue_server(pair, "hook", ["hook.default.svc"])
    address = cluster.namespace.address
    words = [*cluster.namespace.enter, sys.executable, SERVER, address, PORT, pair.certificate, pair.key]
    server = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "serving\n"
        metadata = {"name": "hook", "namespace": "default"}
        endpoints = metadata | {"labels": {"kubernetes.io/service-name": "hook"}}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 443}]}},
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": endpoints,
                "addressType": "IPv4",
                "ports": [{"name": "", "port": PORT}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            },
        )
        yield base64.b64encode(authority.certificate_pem()).decode()
    finally:
        cluster.kubectl("delete", "service/hook", "endpointslice/hook", check=False)
        server.terminate()
        server.wait(10)


def configuration(kind: str, bundle: str, path: str, *resources: str, **fields: Any) -> dict[str, Any]:
    rule = {"operations": ["CREATE", "CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources}
    service = {"namespace": "default", "name": "hook", "path": path}
    webhook = {
        "name": f"{kind.lower()}.example.com",
        "clientConfig": {"service": service, "caBundle": bundle},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hooked"}},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": "hooked"},
        "webhooks": [webhook | fields],
    }


@pytest.fixture(scope="module")
def hooked(cluster: Cluster, bundle: str) -> Iterator[str]:
    """A namespace whose writes the server changes and judges."""
    cluster.kubectl("create", "namespace", "hooked")
    cluster.apply(
        configuration("Mutating", bundle, "/mutate", "configmaps"),
        configuration("Validating", bundle, "/validate", "configmaps", "pods/exec"),
    )
    try:
        yield "hooked"
    finally:
        resources = ("mutatingwebhookconfiguration/hooked", "validatingwebhookconfiguration/hooked", "ns/hooked")
        cluster.kubectl("delete", "--wait=false", *resources)


def test_a_server_changes_judges_and_warns(cluster: Cluster, hooked: str) -> None:
    made = cluster.kubectl("create", "configmap", "plain", "-n", hooked, "--from-literal=a=b")
    assert "Warning: judged plain" in made.stderr
    assert cluster.get("configmap", "plain", hooked)["metadata"]["labels"] == {LABEL: "yes"}
    refused = cluster.kubectl("create", "configmap", "bad", "-n", hooked, "--from-literal=forbidden=yes", check=False)
    assert refused.returncode != 0
    assert 'admission webhook "validating.example.com" denied the request: it says so itself' in refused.stderr
    elsewhere = cluster.kubectl("create", "configmap", "free", "--from-literal=forbidden=yes")
    assert "created" in elsewhere.stdout
    cluster.kubectl("delete", "configmap", "free")


def test_a_connection_into_a_pod_is_judged(cluster: Cluster, hooked: str) -> None:
    cluster.kubectl("run", "shell", "-n", hooked, "--image=busybox", "--", "sleep", "600")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/shell", "-n", hooked, "--timeout=60s")
    refused = cluster.kubectl("exec", "shell", "-n", hooked, "--", "true", check=False)
    assert refused.returncode != 0
    assert "no exec here" in refused.stderr


def test_a_server_that_is_gone_refuses_by_name(cluster: Cluster, bundle: str) -> None:
    gone = configuration("Validating", bundle, "/validate", "configmaps", namespaceSelector={}, name="gone.example.com")
    gone["metadata"]["name"] = "gone"
    gone["webhooks"][0]["clientConfig"]["service"]["name"] = "nobody"
    gone["webhooks"][0]["objectSelector"] = {"matchLabels": {"judged": "yes"}}
    cluster.apply(gone)
    try:
        body = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"judged": "yes"}}}'
        refused = cluster.kubectl("create", "-f", "-", input=body, check=False)
    finally:
        cluster.kubectl("delete", "validatingwebhookconfiguration", "gone")
    why = 'Post "https://nobody.default.svc:443/validate?timeout=5s": service "nobody" not found'
    assert f'failed calling webhook "gone.example.com": failed to call webhook: {why}' in refused.stderr
