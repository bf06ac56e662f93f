"""What client programs of several languages need of a cluster: a namespace, and the files of a service account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster_harness import Cluster


@contextmanager
def in_a_namespace(cluster: Cluster, name: str) -> Iterator[None]:
    """A namespace, which goes at the end with all that is in it."""
    cluster.kubectl("create", "namespace", name)
    try:
        yield
    finally:
        cluster.kubectl("delete", "namespace", name, "--timeout=60s")


def account_directory(cluster: Cluster, namespace: str, name: str, place: Path) -> None:
    """Makes a service account that may list pods, and ``place`` with the files that a pod of it would find."""
    cluster.kubectl("-n", namespace, "create", "serviceaccount", name)
    cluster.kubectl("-n", namespace, "create", "role", name, "--verb=list", "--resource=pods")
    account = f"--serviceaccount={namespace}:{name}"
    cluster.kubectl("-n", namespace, "create", "rolebinding", name, f"--role={name}", account)
    place.mkdir(parents=True)
    (place / "token").write_text(cluster.kubectl("-n", namespace, "create", "token", name).stdout.strip())
    (place / "ca.crt").write_text(cluster.get("configmap", "kube-root-ca.crt", namespace)["data"]["ca.crt"])
    (place / "namespace").write_text(namespace)


def in_cluster(cluster: Cluster) -> tuple[str, ...]:
    """The variables by which a program in a pod finds the API server, for ``env``; the address of the host serves."""
    server = json.loads(cluster.kubectl("config", "view", "--minify", "-o", "json").stdout)["clusters"][0]["cluster"]
    _, _, rest = server["server"].partition("://")
    host, _, port = rest.rpartition(":")
    return (f"KUBERNETES_SERVICE_HOST={host}", f"KUBERNETES_SERVICE_PORT={port}")


def talking_pod(cluster: Cluster, namespace: str) -> str:
    """Makes a pod that prints two lines and serves HTTP, and returns its name when it is ready."""
    command = ["sh", "-c", "echo one; echo two; exec httpd -f -p 80"]
    main = {"name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": command}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 0}
    metadata = {"name": "talking", "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.wait("condition=Ready", "pod/talking", namespace)
    return "talking"
