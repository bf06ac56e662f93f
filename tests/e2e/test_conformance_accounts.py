"""Upstream's published behaviours of service accounts that need containers; docs/conformance.md names them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_programs import in_a_namespace
from cluster_harness import Cluster

NAMESPACE = "conformance-auth"
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
AUDIENCE = "oidc-discovery-test"
VERIFIER = Path(__file__).with_name("token_verifier.py")


@pytest.fixture(scope="module")
def pod(cluster: Cluster) -> Iterator[str]:
    """A pod of an account of its own, with the usual token and a projected one."""
    token = {"serviceAccountToken": {"path": "sa-token", "expirationSeconds": 600, "audience": AUDIENCE}}
    main = {
        "name": "test",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "100000"],
        "volumeMounts": [{"name": "tokens", "mountPath": "/var/run/secrets/tokens", "readOnly": True}],
    }
    spec = {
        "serviceAccountName": "mount-test",
        "containers": [main],
        "volumes": [{"name": "tokens", "projected": {"sources": [token]}}],
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": "Never",
    }
    metadata = {"name": "pod-service-account", "namespace": NAMESPACE}
    with in_a_namespace(cluster, NAMESPACE):
        cluster.kubectl("-n", NAMESPACE, "create", "serviceaccount", "mount-test")
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        cluster.wait("jsonpath={.status.phase}=Running", "pod/pod-service-account", NAMESPACE)
        yield "pod-service-account"


def read(cluster: Cluster, pod: str, path: str) -> str:
    """A file of the container."""
    return cluster.kubectl("-n", NAMESPACE, "exec", pod, "--", "cat", path).stdout


def test_a_pod_has_a_token_that_is_its_account(cluster: Cluster, pod: str) -> None:
    root = cluster.get("configmap", "kube-root-ca.crt", NAMESPACE)["data"]["ca.crt"]
    assert (read(cluster, pod, f"{MOUNT}/ca.crt"), read(cluster, pod, f"{MOUNT}/namespace")) == (root, NAMESPACE)
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": read(cluster, pod, f"{MOUNT}/token")},
    }
    done = cluster.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(review))
    status: dict[str, Any] = json.loads(done.stdout)["status"]
    assert (status["authenticated"], status.get("error", "")) == (True, "")
    assert status["user"]["username"] == f"system:serviceaccount:{NAMESPACE}:mount-test"
    wanted = {"system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"}
    assert wanted <= set(status["user"]["groups"])


def test_a_projected_token_is_mounted(cluster: Cluster, pod: str) -> None:
    token = read(cluster, pod, "/var/run/secrets/tokens/sa-token")
    assert re.fullmatch(r"[A-Za-z0-9-_=]+\.[A-Za-z0-9-_=]+\.?[A-Za-z0-9-_.+/=]*", token)


def test_a_pods_token_is_verified_by_discovery_alone(cluster: Cluster, pod: str, tmp_path: Path) -> None:
    role = "--clusterrole=system:service-account-issuer-discovery"
    account = f"--serviceaccount={NAMESPACE}:mount-test"
    cluster.kubectl("create", "clusterrolebinding", f"{NAMESPACE}-discovery", role, account)
    try:
        (tmp_path / "token").write_text(read(cluster, pod, "/var/run/secrets/tokens/sa-token"))
        (tmp_path / "own").write_text(read(cluster, pod, f"{MOUNT}/token"))
        (tmp_path / "ca.crt").write_text(read(cluster, pod, f"{MOUNT}/ca.crt"))
        words = (tmp_path / "token", tmp_path / "own", AUDIENCE, tmp_path / "ca.crt", cluster.namespace.address)
        done = cluster.run(sys.executable, VERIFIER, *words)
        assert done.stdout.split() == [NAMESPACE, "mount-test", pod]
    finally:
        cluster.kubectl("delete", "clusterrolebinding", f"{NAMESPACE}-discovery")


def test_who_is_impersonated_is_told_who_he_is(cluster: Cluster) -> None:
    mask = ("--as=jane-doe", "--as-uid=uniq-id", "--as-group=system:authenticated", "--as-group=developers")
    extra = ("--as-user-extra=known-languages=python", "--as-user-extra=known-languages=javascript")
    told = cluster.kubectl("auth", "whoami", *mask, *extra, "-o", "json")
    user = json.loads(told.stdout)["status"]["userInfo"]
    assert (user["username"], user["uid"]) == ("jane-doe", "uniq-id")
    assert user["groups"] == ["system:authenticated", "developers"]
    assert user["extra"] == {"known-languages": ["python", "javascript"]}


def test_the_node_lets_nobody_in_whom_the_api_server_does_not_know(cluster: Cluster, pod: str) -> None:
    """Without credentials, and with a token of an account that may not look at nodes."""
    program = (
        "import ssl, sys, urllib.request as u, urllib.error as e\n"
        "request = u.Request(sys.argv[1], headers=dict(each.split(': ') for each in sys.argv[2:]))\n"
        "try: print(u.urlopen(request, context=ssl._create_unverified_context()).status)\n"
        "except e.HTTPError as error: print(error.status)"
    )
    url = f"https://{cluster.namespace.address}:10250/metrics"
    token = f"Authorization: Bearer {read(cluster, pod, f'{MOUNT}/token')}"

    def ask(*headers: str) -> str:
        return cluster.run(sys.executable, "-c", program, url, *headers).stdout.strip()

    assert (ask(), ask("Authorization: Bearer wrong"), ask(token)) == ("401", "401", "403")
    cluster.kubectl("-n", NAMESPACE, "create", "serviceaccount", "observer")
    account = f"--serviceaccount={NAMESPACE}:observer"
    cluster.kubectl("create", "clusterrolebinding", NAMESPACE, "--clusterrole=system:kubelet-api-admin", account)
    try:
        token = cluster.kubectl("-n", NAMESPACE, "create", "token", "observer").stdout.strip()
        assert ask(f"Authorization: Bearer {token}") == "200"
    finally:
        cluster.kubectl("delete", "clusterrolebinding", NAMESPACE)
