"""What people's own clients do with a cluster: kubectl of two versions and the Python client; who may do what."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from cluster_harness import CLIENTS, Cluster
from kubernetes.client import ApiException
from kubernetes.stream import stream

NAMESPACE = "clients"
CLONE_NEWNET = 0x40000000
both = pytest.mark.parametrize("version", ["1.36", "1.34"])


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")


@pytest.fixture
def api(cluster: Cluster) -> Iterator[kubernetes.client.ApiClient]:
    """The Python client; this thread is in the cluster's network namespace meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    places = [
        os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/run/netns/{cluster.namespace.name}")
    ]
    home, there = places
    assert libc.setns(there, CLONE_NEWNET) == 0
    try:
        with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as client:
            yield client
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        for each in places:
            os.close(each)


class Stranger:
    """kubectl without the administrator's kubeconfig: with a token, or with nothing."""

    def __init__(self, cluster: Cluster, empty: Path) -> None:
        self._cluster, self._empty = cluster, empty
        empty.write_text("")

    def kubectl(self, *words: str, token: str) -> tuple[int, str]:
        """Exit code and everything printed."""
        server = f"--server=https://{self._cluster.namespace.address}:6443"
        access = ("--kubeconfig", str(self._empty), server, "--insecure-skip-tls-verify", "--token", token)
        done = self._cluster.run(CLIENTS / "kubectl-1.36", *access, *words, check=False)
        return done.returncode, done.stdout + done.stderr

    def curl(self, path: str, *headers: str) -> tuple[int, str]:
        """Status and body of a GET without client certificate."""
        url = f"https://{self._cluster.namespace.address}:6443{path}"
        code = (
            "import sys,ssl,urllib.request as u,urllib.error as e\n"
            "request = u.Request(sys.argv[1], headers=dict(h.split(': ') for h in sys.argv[2:]))\n"
            "try: answer = u.urlopen(request, context=ssl._create_unverified_context())\n"
            "except e.HTTPError as error: answer = error\n"
            "print(answer.status); print(answer.read().decode())"
        )
        status, _, body = self._cluster.run("python3", "-c", code, url, *headers).stdout.partition("\n")
        return int(status), body.strip()


@pytest.fixture
def stranger(cluster: Cluster, tmp_path: Path) -> Stranger:
    return Stranger(cluster, tmp_path / "empty")


def refused(cluster: Cluster, *words: str, **options: Any) -> str:
    """What kubectl says of a request that is refused."""
    done = cluster.kubectl("-n", NAMESPACE, *words, check=False, **options)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip()


# --- kubectl


@both
def test_create_label_annotate_wait_and_delete(cluster: Cluster, version: str) -> None:
    def run(*words: str) -> str:
        return cluster.kubectl("-n", NAMESPACE, *words, version=version).stdout.strip()

    assert run("create", "configmap", "plain", "--from-literal=color=red") == "configmap/plain created"
    assert run("label", "configmap", "plain", "tier=front") == "configmap/plain labeled"
    assert run("annotate", "configmap", "plain", "note=hello") == "configmap/plain annotated"
    assert run("get", "configmap", "-l", "tier=front", "-o", "name") == "configmap/plain"
    assert run("get", "configmap", "-l", "tier=back", "-o", "name") == ""
    found = cluster.get("configmap", "plain", NAMESPACE)
    assert (found["data"], found["metadata"]["annotations"]["note"]) == ({"color": "red"}, "hello")
    assert run("wait", "--for=jsonpath={.data.color}=red", "configmap/plain", "--timeout=10s").endswith("condition met")
    assert run("label", "configmap", "plain", "tier-") == "configmap/plain unlabeled"
    assert run("delete", "configmap", "plain").startswith('configmap "plain" deleted')
    assert "NotFound" in refused(cluster, "get", "configmap", "plain", version=version)


@both
def test_a_created_deployment_becomes_available(cluster: Cluster, version: str) -> None:
    words = ("create", "deployment", "site", "--image=nginx", "--replicas=2", "-n", NAMESPACE)
    assert cluster.kubectl(*words, version=version).stdout == "deployment.apps/site created\n"
    cluster.wait("condition=Available", "deployment/site", NAMESPACE)
    assert cluster.get("deployment", "site", NAMESPACE)["status"]["readyReplicas"] == 2
    cluster.kubectl("delete", "deployment", "site", "-n", NAMESPACE, "--cascade=foreground", "--timeout=60s")
    assert cluster.kubectl("get", "pods", "-l", "app=site", "-n", NAMESPACE, "-o", "name").stdout == ""


@both
def test_a_watch_ends_when_its_time_is_over(cluster: Cluster, version: str) -> None:
    cluster.kubectl("create", "configmap", "seen", "-n", NAMESPACE)
    words = ("get", "configmaps", "-n", NAMESPACE, "--field-selector=metadata.name=seen", "-w", "--request-timeout=1s")
    head, row = cluster.kubectl(*words, version=version, check=False, timeout=20).stdout.splitlines()
    assert (head.split(), row.split()[:2]) == (["NAME", "DATA", "AGE"], ["seen", "0"])
    cluster.kubectl("delete", "configmap", "seen", "-n", NAMESPACE)


@both
def test_a_list_in_chunks_is_the_whole_list(cluster: Cluster, version: str) -> None:
    whole = cluster.kubectl("get", "clusterroles", "-o", "name", version=version).stdout
    assert len(whole.splitlines()) > 14
    done = cluster.kubectl("get", "clusterroles", "-o", "name", "--chunk-size=7", "-v=6", version=version)
    assert done.stdout == whole
    assert done.stderr.count("limit=7") > 1  # it really came in parts


@both
def test_discovery_and_schema_are_read(cluster: Cluster, version: str) -> None:
    rows = [line.split() for line in cluster.kubectl("api-resources", version=version).stdout.splitlines()]
    assert ["pods", "po", "v1", "true", "Pod"] in rows
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in rows
    assert "rbac.authorization.k8s.io/v1" in cluster.kubectl("api-versions", version=version).stdout.split()
    shown = cluster.kubectl("explain", "deployment.spec.template.spec.containers.image", version=version).stdout
    assert "GROUP:      apps" in shown
    assert "FIELD: image <string>" in shown


def test_may_i(cluster: Cluster) -> None:
    assert cluster.kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
    done = cluster.kubectl("auth", "can-i", "create", "pods", "--as=nobody", check=False)
    assert (done.returncode, done.stdout) == (1, "no\n")


# --- refusals


def test_an_unknown_kind(cluster: Cluster) -> None:
    assert 'doesn\'t have a resource type "unicorns"' in refused(cluster, "get", "unicorns")
    unicorn = json.dumps({"apiVersion": "v1", "kind": "Unicorn", "metadata": {"name": "u"}})
    assert 'no matches for kind "Unicorn" in version "v1"' in refused(cluster, "create", "-f", "-", input=unicorn)


@both
def test_an_unknown_field_is_refused_in_strict_validation_alone(cluster: Cluster, version: str) -> None:
    typo = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "typo"}, "dato": {"a": "b"}})
    message = refused(cluster, "create", "-f", "-", input=typo, version=version)
    assert "(BadRequest)" in message
    assert 'strict decoding error: unknown field "dato"' in message
    words = ("create", "-f", "-", "--validate=warn", "-n", NAMESPACE)
    assert 'Warning: unknown field "dato"' in cluster.kubectl(*words, input=typo, version=version).stderr
    cluster.kubectl("delete", "configmap", "typo", "-n", NAMESPACE)


def test_a_name_that_is_taken(cluster: Cluster) -> None:
    message = refused(cluster, "create", "namespace", NAMESPACE)
    assert message == f'Error from server (AlreadyExists): namespaces "{NAMESPACE}" already exists'


def test_a_name_that_is_none(cluster: Cluster) -> None:
    message = refused(cluster, "create", "configmap", "Bad_Name")
    assert 'ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123' in message


# --- who may do what


def test_without_credentials_there_is_health_and_nothing_else(stranger: Stranger) -> None:
    assert stranger.curl("/healthz") == (200, "ok")
    status, body = stranger.curl("/api")
    assert (status, json.loads(body)["reason"]) == (403, "Forbidden")
    assert json.loads(body)["message"] == 'forbidden: User "system:anonymous" cannot get path "/api"'


def test_a_wrong_token_is_not_let_in(stranger: Stranger) -> None:
    status, body = stranger.curl("/healthz", "Authorization: Bearer wrong")
    assert (status, json.loads(body)["reason"]) == (401, "Unauthorized")


def test_a_service_account_may_do_what_it_was_granted(cluster: Cluster, stranger: Stranger) -> None:
    cluster.kubectl("create", "serviceaccount", "robot", "-n", NAMESPACE)
    token = cluster.kubectl("create", "token", "robot", "-n", NAMESPACE).stdout.strip()
    code, said = stranger.kubectl("get", "pods", "-n", NAMESPACE, token=token)
    assert code == 1
    assert said.strip() == (
        f'Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:{NAMESPACE}:robot" cannot '
        f'list resource "pods" in API group "" in the namespace "{NAMESPACE}"'
    )
    cluster.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods", "-n", NAMESPACE)
    account = f"--serviceaccount={NAMESPACE}:robot"
    cluster.kubectl("create", "rolebinding", "robot-reads", "--role=reader", account, "-n", NAMESPACE)
    assert stranger.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name", token=token) == (0, "")
    assert "Forbidden" in stranger.kubectl("delete", "pod", "any", "-n", NAMESPACE, token=token)[1]
    assert "Forbidden" in stranger.kubectl("get", "pods", "-n", "default", token=token)[1]


def test_a_deleted_accounts_token_is_worthless(cluster: Cluster, stranger: Stranger) -> None:
    cluster.kubectl("create", "serviceaccount", "brief", "-n", NAMESPACE)
    token = cluster.kubectl("create", "token", "brief", "-n", NAMESPACE).stdout.strip()
    assert stranger.curl("/version", f"Authorization: Bearer {token}")[0] == 200
    cluster.kubectl("delete", "serviceaccount", "brief", "-n", NAMESPACE)
    assert stranger.curl("/version", f"Authorization: Bearer {token}")[0] == 401


# --- the Python client


def test_objects_are_created_read_changed_and_deleted(api: kubernetes.client.ApiClient) -> None:
    core = kubernetes.client.CoreV1Api(api)
    body = kubernetes.client.V1ConfigMap(metadata={"name": "py"}, data={"a": "1", "b": "2"})
    made = core.create_namespaced_config_map(NAMESPACE, body)
    assert core.read_namespaced_config_map("py", NAMESPACE).metadata.uid == made.metadata.uid
    made.data = {"a": "3"}
    second = core.replace_namespaced_config_map("py", NAMESPACE, made)
    assert second.data == {"a": "3"}
    with pytest.raises(ApiException) as conflict:
        core.replace_namespaced_config_map("py", NAMESPACE, made)  # it carries the old version
    assert (conflict.value.status, json.loads(conflict.value.body)["reason"]) == (409, "Conflict")
    patched = core.patch_namespaced_config_map("py", NAMESPACE, {"data": {"a": None, "c": "4"}})
    assert patched.data == {"c": "4"}
    core.delete_namespaced_config_map("py", NAMESPACE)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("py", NAMESPACE)
    assert gone.value.status == 404


def test_lists_are_merged_by_a_strategic_patch_and_replaced_by_a_merge_patch(api: kubernetes.client.ApiClient) -> None:
    apps = kubernetes.client.AppsV1Api(api)
    labels = {"app": "patched"}
    first = {"name": "first", "image": "busybox"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [first]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    apps.create_namespaced_deployment(NAMESPACE, {"metadata": {"name": "patched"}, "spec": spec})
    change = {"spec": {"template": {"spec": {"containers": [{"name": "second", "image": "nginx"}]}}}}

    def patch(content_type: str) -> set[str]:
        found = apps.patch_namespaced_deployment("patched", NAMESPACE, change, _content_type=content_type)
        return {each.name for each in found.spec.template.spec.containers}

    assert patch("application/strategic-merge-patch+json") == {"first", "second"}
    assert patch("application/merge-patch+json") == {"second"}
    apps.delete_namespaced_deployment("patched", NAMESPACE)


def test_a_watch_tells_each_change_from_a_version_on(api: kubernetes.client.ApiClient) -> None:
    core = kubernetes.client.CoreV1Api(api)
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "watched"}})
    core.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("watched", NAMESPACE)
    seen = []
    watch = kubernetes.watch.Watch()
    options = {"resource_version": start, "field_selector": "metadata.name=watched", "timeout_seconds": 20}
    for event in watch.stream(core.list_namespaced_config_map, NAMESPACE, **options):
        seen.append((event["type"], event["object"].data))
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == [("ADDED", None), ("MODIFIED", {"a": "b"}), ("DELETED", {"a": "b"})]


def test_a_command_runs_in_a_pod_and_its_logs_are_read(cluster: Cluster, api: kubernetes.client.ApiClient) -> None:
    core = kubernetes.client.CoreV1Api(api)
    words = ["sh", "-c", "echo one; echo two; exec sleep 600"]
    main = {"name": "a", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": words}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 0}
    core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "py-pod"}, "spec": spec})
    cluster.wait("condition=Ready", "pod/py-pod", NAMESPACE)
    assert core.read_namespaced_pod_log("py-pod", NAMESPACE) == "one\ntwo\n"
    assert core.read_namespaced_pod_log("py-pod", NAMESPACE, tail_lines=1) == "two\n"
    command = ["sh", "-c", "read line; echo got $line; echo bad >&2; exit 5"]
    session = stream(
        core.connect_get_namespaced_pod_exec, "py-pod", NAMESPACE, command=command,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("this\n")
    session.run_forever(timeout=20)
    assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("got this\n", "bad\n", 5)
    core.delete_namespaced_pod("py-pod", NAMESPACE)
