"""What a pod finds in its volumes: a mounted map that changes, modes, facts about itself, its own credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import Cluster, eventually

Place = Callable[..., None]
NAMESPACE = "volumes"


def pod(name: str, volumes: list[dict[str, Any]], mounts: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    main = {
        "name": "a",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "600"],
        "volumeMounts": mounts,
        **fields,
    }
    spec = {"containers": [main], "volumes": volumes, "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"tier": "front"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    eventually(lambda: "default" in cluster.kubectl("get", "sa", "-n", NAMESPACE, "-o", "name").stdout)
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")


@pytest.fixture
def place(cluster: Cluster) -> Place:
    """Applies objects and waits until the pods among them are ready; they go with the namespace."""

    def apply(*objects: dict[str, Any]) -> None:
        cluster.apply(*objects)
        for each in objects:
            if each["kind"] == "Pod":
                cluster.wait("condition=Ready", f"pod/{each['metadata']['name']}", NAMESPACE)

    return apply


def inside(cluster: Cluster, name: str, *command: str, check: bool = True) -> str:
    """What a command in the pod's container prints, stderr included when it may fail."""
    done = cluster.kubectl("exec", name, "-n", NAMESPACE, "--", *command, check=check)
    return (done.stdout if check else done.stdout + done.stderr).strip()


def first_process(cluster: Cluster, name: str) -> int:
    """The container's first process as the host sees it."""
    identity = cluster.get("pod", name, NAMESPACE)["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if identity in (entry / "cgroup").read_text():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return min(found)


def test_a_mounted_map_changes_as_a_whole_and_a_sub_path_does_not(cluster: Cluster, place: Place) -> None:
    mounts = [
        {"name": "cfg", "mountPath": "/cfg"},
        {"name": "cfg", "mountPath": "/etc/one.conf", "subPath": "one"},
    ]
    volumes = [{"name": "cfg", "configMap": {"name": "live"}}]
    place(config_map("live", one="1", two="2"), pod("live", volumes, mounts))
    assert inside(cluster, "live", "cat", "/cfg/one", "/cfg/two", "/etc/one.conf") == "121"
    target = inside(cluster, "live", "readlink", "/cfg/..data")
    change = '{"data":{"one":"new","two":null,"three":"3"}}'
    cluster.kubectl("patch", "configmap", "live", "-n", NAMESPACE, "--type=merge", "-p", change)
    eventually(lambda: inside(cluster, "live", "cat", "/cfg/one") == "new", 10)
    assert inside(cluster, "live", "ls", "/cfg").split() == ["one", "three"]
    assert inside(cluster, "live", "readlink", "/cfg/..data") != target
    assert inside(cluster, "live", "cat", "/etc/one.conf") == "1"


def test_secrets_have_the_modes_that_were_asked_for(cluster: Cluster, place: Place) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "modes", "namespace": NAMESPACE},
        "data": {"key": "AAH/", "cert": "Yw=="},
    }
    items = [{"key": "key", "path": "deep/key", "mode": 0o400}, {"key": "cert", "path": "cert"}]
    volumes = [{"name": "s", "secret": {"secretName": "modes", "defaultMode": 0o440, "items": items}}]
    place(secret, pod("modes", volumes, [{"name": "s", "mountPath": "/s"}]))
    modes = inside(cluster, "modes", "stat", "-L", "-c", "%a", "/s/deep/key", "/s/cert").split()
    assert modes == ["400", "440"]
    assert inside(cluster, "modes", "od", "-An", "-tx1", "/s/deep/key").split() == ["00", "01", "ff"]
    assert "tmpfs" in inside(cluster, "modes", "grep", " /s ", "/proc/mounts")


def test_a_pod_reads_about_itself(cluster: Cluster, place: Place) -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "uid", "fieldRef": {"fieldPath": "metadata.uid"}},
        {"path": "memory", "resourceFieldRef": {"containerName": "a", "resource": "limits.memory", "divisor": "1Mi"}},
    ]
    env = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in (("IP", "status.podIP"), ("NODE", "spec.nodeName"), ("SPACE", "metadata.namespace"))
    ]
    limits = {"limits": {"memory": "48Mi"}}
    volumes = [{"name": "d", "downwardAPI": {"items": items}}]
    place(pod("self", volumes, [{"name": "d", "mountPath": "/d"}], env=env, resources=limits))
    found = cluster.get("pod", "self", NAMESPACE)
    assert inside(cluster, "self", "cat", "/d/labels") == 'tier="front"'
    assert inside(cluster, "self", "cat", "/d/uid") == found["metadata"]["uid"]
    assert inside(cluster, "self", "cat", "/d/memory") == "48"
    printed = inside(cluster, "self", "sh", "-c", "echo $IP $NODE $SPACE").split()
    assert printed == [found["status"]["podIP"], cluster.node_name, NAMESPACE]


def test_the_mounted_token_opens_the_api_server(cluster: Cluster, place: Place) -> None:
    place(pod("caller", [], []))
    mounted = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert inside(cluster, "caller", "cat", f"{mounted}/namespace") == NAMESPACE
    assert inside(cluster, "caller", "cat", f"{mounted}/ca.crt").startswith("-----BEGIN CERTIFICATE-----")

    root = Path("/proc") / str(first_process(cluster, "caller"))
    code = (
        "import sys,ssl,urllib.request as u,urllib.error as e\n"
        "secrets, url = sys.argv[1:]\n"
        "tls = ssl.create_default_context(cafile=secrets + '/ca.crt')\n"
        "headers = {'Authorization': 'Bearer ' + open(secrets + '/token').read()}\n"
        "try: print(u.urlopen(u.Request(url, headers=headers), context=tls).read().decode())\n"
        "except e.HTTPError as error: print(error.status)"
    )

    def ask(path: str) -> str:
        """A GET over the pod's own network with the files that it was given; the image has no fit TLS client."""
        url = f"https://{cluster.namespace.address}:6443{path}"
        enter = ("nsenter", f"--net={root}/ns/net")
        return cluster.run(*enter, "python3", "-c", code, f"{root}/root{mounted}", url).stdout.strip()

    assert '"gitVersion"' in ask("/version")
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    assert ask(pods) == "403"
    account = f"--serviceaccount={NAMESPACE}:default"
    cluster.kubectl("create", "rolebinding", "view", "--clusterrole=view", account, "-n", NAMESPACE)
    assert '"name":"caller"' in ask(pods).replace(" ", "")


def test_a_token_dies_with_its_pod(cluster: Cluster, place: Place) -> None:
    place(pod("mortal", [], []))
    token = inside(cluster, "mortal", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    review = (
        '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","metadata":{"name":"r"},"spec":{"token":"%s"}}'
    )
    words = ("create", "-f", "-", "-o", "jsonpath={.status.authenticated} {.status.user.username}")
    account = f"system:serviceaccount:{NAMESPACE}:default"
    assert cluster.kubectl(*words, input=review % token).stdout.strip() == f"true {account}"
    cluster.kubectl("delete", "pod", "mortal", "-n", NAMESPACE)
    assert not cluster.kubectl(*words, input=review % token).stdout.startswith("true")


def test_a_sub_path_shows_one_directory_of_a_volume(cluster: Cluster, place: Place, tmp_path: Path) -> None:
    for name in ("mine", "yours"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    volumes = [{"name": "host", "hostPath": {"path": str(tmp_path)}}]
    mounts = [
        {"name": "host", "mountPath": "/one", "subPath": "mine"},
        {"name": "host", "mountPath": "/per-pod", "subPathExpr": "for-$(NAME)"},
    ]
    env = [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    place(pod("sub", volumes, mounts, env=env))
    assert inside(cluster, "sub", "cat", "/one/file") == "mine"
    inside(cluster, "sub", "touch", "/per-pod/made")
    assert (tmp_path / "for-sub" / "made").exists()


def test_what_is_mounted_read_only_is_not_written(cluster: Cluster, place: Place, tmp_path: Path) -> None:
    volumes = [{"name": "host", "hostPath": {"path": str(tmp_path)}}]
    mounts = [
        {"name": "host", "mountPath": "/ro", "readOnly": True},
        {"name": "host", "mountPath": "/rw"},
    ]
    place(pod("ro", volumes, mounts))
    assert "Read-only file system" in inside(cluster, "ro", "touch", "/ro/file", check=False)
    inside(cluster, "ro", "touch", "/rw/file")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
