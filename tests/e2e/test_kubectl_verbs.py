"""What people type at kubectl, verb after verb, on one cluster: each call succeeds and has its effect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_harness import Cluster, eventually

from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair

NAMESPACE = "verbs"
SLEEP = ("--image=busybox", "--image-pull-policy=IfNotPresent", "--", "sleep", "6000")
Kubectl = Callable[..., str]


@pytest.fixture(scope="module", params=["1.36", "1.34"])
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a namespace of this module, which goes at the end with all that is in it."""

    def kubectl(*words: str, stdin: str | None = None) -> str:
        done = cluster.kubectl("-n", NAMESPACE, *words, version=request.param, input=stdin, timeout=60)
        return done.stdout.strip()

    kubectl("create", "namespace", NAMESPACE)
    yield kubectl
    kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")
    kubectl("delete", "clusterrole/verbs", "clusterrolebinding/verbs", "priorityclass/verbs", "--ignore-not-found")


@pytest.fixture
def certificate(tmp_path: Path) -> KeyPair:
    """A certificate and its key."""
    pair = KeyPair(tmp_path / "tls.crt", tmp_path / "tls.key")
    Authority.open(tmp_path).issue_client(pair, "somebody")
    return pair


def test_every_generator_makes_its_object(kubectl: Kubectl, certificate: KeyPair) -> None:
    for line in (
        "deployment d --image=busybox --replicas=0",
        "job j --image=busybox",
        "cronjob c --image=busybox --schedule=0 0 1 1 *",
        "configmap m --from-literal=color=red --from-file=/etc/hostname",
        "secret generic s --from-literal=a=b",
        "secret docker-registry r --docker-server=x --docker-username=u --docker-password=p",
        f"secret tls t --cert={certificate.certificate} --key={certificate.key}",
        "service clusterip ip --tcp=80:80",
        "service nodeport port --tcp=80:80",
        "service loadbalancer balanced --tcp=80:80",
        "service externalname named --external-name=example.com",
        "ingress i --rule=example.com/path=ip:80",
        "role r --verb=get --resource=pods",
        "rolebinding b --role=r --user=u",
        "clusterrole verbs --verb=get --resource=nodes",
        "clusterrolebinding verbs --clusterrole=verbs --user=u",
        "serviceaccount a",
        "quota q --hard=pods=50",
        "priorityclass verbs --value=10",
        "poddisruptionbudget p --selector=app=nothing --min-available=1",
    ):
        before, _, schedule = line.partition(" --schedule=")
        assert kubectl("create", *before.split(), *([f"--schedule={schedule}"] if schedule else [])).endswith("created")
    assert kubectl("create", "token", "a").count(".") == 2
    assert kubectl("get", "secret", "t", "-o", "jsonpath={.type}") == "kubernetes.io/tls"
    shown = kubectl("get", "all", "-o", "name").split()
    assert {"deployment.apps/d", "job.batch/j", "cronjob.batch/c", "service/ip"} <= set(shown)
    kubectl("delete", "job/j", "cronjob/c", "poddisruptionbudget/p")


def test_an_object_is_changed_in_every_way(kubectl: Kubectl, tmp_path: Path) -> None:
    def color() -> str:
        return kubectl("get", "configmap", "changing", "-o", "jsonpath={.data.color}")

    kubectl("create", "configmap", "changing", "--from-literal=color=red")
    kubectl("patch", "configmap", "changing", "-p", '{"data":{"color":"green"}}')
    assert color() == "green"
    kubectl("patch", "configmap", "changing", "--type=merge", "-p", '{"data":{"color":"blue"}}')
    assert color() == "blue"
    replace = json.dumps([{"op": "replace", "path": "/data/color", "value": "pink"}])
    kubectl("patch", "configmap", "changing", "--type=json", "-p", replace)
    assert color() == "pink"
    (tmp_path / "edit").write_text("#!/bin/sh\nsed -i 's/color: pink/color: grey/' \"$1\"\n")
    (tmp_path / "edit").chmod(0o755)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBE_EDITOR", str(tmp_path / "edit"))
        assert kubectl("edit", "configmap", "changing") == "configmap/changing edited"
    assert color() == "grey"
    manifest = kubectl("get", "configmap", "changing", "-o", "json").replace("grey", "black")
    kubectl("replace", "-f", "-", stdin=manifest)
    assert color() == "black"
    bare = json.loads(manifest)
    bare["metadata"] = {"name": "changing"}
    bare["data"]["color"] = "white"
    kubectl("replace", "--force", "-f", "-", stdin=json.dumps(bare))
    assert color() == "white"


def test_apply_prunes_and_diff_and_dry_run_change_nothing(kubectl: Kubectl, cluster: Cluster) -> None:
    def manifest(*names: str, value: str = "1") -> str:
        items = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {"set": "pruned"}},
                "data": {"x": value},
            }
            for name in names
        ]
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    kubectl("apply", "-f", "-", stdin=manifest("one", "two"))
    done = cluster.kubectl("-n", NAMESPACE, "diff", "-f", "-", input=manifest("one", value="2"), check=False)
    assert (done.returncode, '+  x: "2"' in done.stdout) == (1, True)
    assert "server dry run" in kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest("one", value="3"))
    assert kubectl("get", "configmap", "one", "-o", "jsonpath={.data.x}") == "1"
    allow = "--prune-allowlist=core/v1/ConfigMap"
    said = kubectl("apply", "--prune", "-l", "set=pruned", allow, "-f", "-", stdin=manifest("one"))
    assert "configmap/two pruned" in said


def test_a_deployment_through_its_life(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "life", "--image=busybox", "--replicas=2", "--", "sleep", "6000")
    quick = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "busybox", "imagePullPolicy": "IfNotPresent"}]}
    kubectl("patch", "deployment", "life", "-p", json.dumps({"spec": {"template": {"spec": quick}}}))
    kubectl("rollout", "status", "deployment/life", "--timeout=60s")
    kubectl("rollout", "pause", "deployment/life")
    kubectl("set", "env", "deployment/life", "A=b")
    kubectl("set", "resources", "deployment/life", "--limits=memory=64Mi")
    kubectl("set", "serviceaccount", "deployment/life", "default")
    kubectl("set", "image", "deployment/life", "busybox=docker.io/library/busybox")
    paused = "jsonpath={.status.conditions[?(@.type=='Progressing')].reason}"
    eventually(lambda: kubectl("get", "deployment", "life", "-o", paused) == "DeploymentPaused")
    kubectl("rollout", "resume", "deployment/life")
    kubectl("rollout", "status", "deployment/life", "--timeout=60s")
    revisions = [line.split()[0] for line in kubectl("rollout", "history", "deployment/life").splitlines()[2:]]
    kubectl("rollout", "undo", "deployment/life", f"--to-revision={revisions[0]}")
    kubectl("rollout", "restart", "deployment/life")
    kubectl("rollout", "status", "deployment/life", "--timeout=60s")
    assert "was 2" in _refused(kubectl, "scale", "deployment/life", "--current-replicas=9", "--replicas=1")
    kubectl("scale", "deployment/life", "--replicas=1")
    kubectl("autoscale", "deployment/life", "--min=1", "--max=2")
    kubectl("expose", "deployment/life", "--port=80")
    kubectl("set", "selector", "service/life", "app=other")
    described = kubectl("describe", "deployment", "life")
    assert "deployment-controller" in described
    assert "Scaled up replica set" in described
    kubectl("delete", "deployment", "life", "--cascade=orphan")
    orphan = kubectl("get", "replicasets", "-l", "app=life", "-o", "name").split()[0]
    eventually(lambda: kubectl("get", orphan, "-o", "jsonpath={.metadata.ownerReferences}") == "")
    kubectl("delete", "replicasets", "-l", "app=life", "--cascade=foreground", "--timeout=60s")


def test_a_pod_from_outside(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("run", "one", *SLEEP)
    kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=30s")
    (tmp_path / "there").write_text("hello")
    kubectl("cp", str(tmp_path / "there"), f"{NAMESPACE}/one:/tmp/there")
    assert kubectl("exec", "one", "--", "cat", "/tmp/there") == "hello"
    kubectl("cp", f"{NAMESPACE}/one:/tmp/there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "hello"
    kubectl("label", "pod", "one", "tier=front")
    kubectl("annotate", "pod", "one", "note=x")
    assert kubectl("get", "pods", "-L", "tier", "-l", "tier=front", "--no-headers").endswith("front")
    assert kubectl("get", "pods", "-l", "tier=front", "-o", "custom-columns=N:.metadata.name", "--no-headers") == "one"
    assert kubectl("get", "pods", "--field-selector=metadata.name=one", "-o", "go-template={{len .items}}") == "1"
    assert "Scheduled" in kubectl("events", "--for", "pod/one")
    assert "sleep" in kubectl("describe", "pod", "one")
    rm = ("run", "brief", "--rm", "-i", "--restart=Never", "--image=busybox", "--image-pull-policy=IfNotPresent")
    assert "hello" in kubectl(*rm, "--", "echo", "hello")
    debug = ("debug", "one", "--image=busybox", "--image-pull-policy=IfNotPresent", "-c", "looker")
    kubectl(*debug, "--", "sleep", "600")
    looker = "jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}"
    eventually(lambda: kubectl("get", "pod", "one", "-o", looker))
    kubectl("delete", "pod", "one", "--grace-period=0", "--force")


def test_a_client_whose_input_ends_leaves_the_container_running(kubectl: Kubectl) -> None:
    attached = ("--attach", "--stdin", "--leave-stdin-open", "--restart=OnFailure")
    kubectl("run", "open", *attached, *SLEEP[:2], "--", "sh", "-c", "cat && echo closed", stdin="one\n")
    kubectl("attach", "open", "--stdin", stdin="two\n")
    eventually(lambda: kubectl("logs", "open") == "one\ntwo")
    assert kubectl("get", "pod", "open", "-o", "jsonpath={.status.phase}") == "Running"
    kubectl("delete", "pod", "open", "--grace-period=0", "--force")
    once = ("run", "once", "--attach", "--stdin", "--restart=OnFailure")
    said = kubectl(*once, *SLEEP[:2], "--", "sh", "-c", "echo -n read: && cat && echo closed", stdin="value\n")
    assert "closed" in said
    kubectl("delete", "pod", "once", "--grace-period=0", "--force")


def test_the_node_is_drained_and_taken_back(kubectl: Kubectl, cluster: Cluster) -> None:
    node = cluster.node_name
    kubectl("run", "evicted", "--labels=drain=me", *SLEEP[:2], "--overrides=" + json.dumps(
        {"spec": {"terminationGracePeriodSeconds": 0}}), *SLEEP[2:])  # fmt: skip
    kubectl("wait", "--for=condition=Ready", "pod/evicted", "--timeout=30s")
    kubectl("taint", "node", node, "verbs=here:PreferNoSchedule")
    kubectl("taint", "node", node, "verbs-")
    try:
        said = kubectl("drain", node, "--force", "--pod-selector=drain=me", "--timeout=30s")
        assert "pod/evicted evicted" in said
        assert kubectl("get", "node", node, "-o", "jsonpath={.spec.unschedulable}") == "true"
    finally:
        kubectl("uncordon", node)
    assert kubectl("get", "node", node, "-o", "jsonpath={.spec.unschedulable}") == ""


def test_questions_about_the_cluster(kubectl: Kubectl, cluster: Cluster) -> None:
    assert "Server Version: v1.36" in kubectl("version")
    assert "control plane" in kubectl("cluster-info")
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert cluster.node_name in kubectl("describe", "node", cluster.node_name)
    assert "Active" in kubectl("describe", "namespace", NAMESPACE)
    assert kubectl("get", "pods", "-A", "--sort-by=.metadata.creationTimestamp") is not None
    assert "Metrics API not available" in _refused(kubectl, "top", "nodes")
    assert "apps/v1" in kubectl("api-versions").split()
    components = kubectl("get", "componentstatuses", "--no-headers").splitlines()
    assert [line.split()[:3] for line in components] == [
        ["controller-manager", "Healthy", "ok"],
        ["scheduler", "Healthy", "ok"],
        ["etcd-0", "Healthy", "ok"],
    ]


def test_what_monitoring_programs_ask_of_a_node(kubectl: Kubectl, cluster: Cluster) -> None:
    kubectl("run", "measured", *SLEEP)
    kubectl("wait", "--for=condition=Ready", "pod/measured", "--timeout=30s")
    node = f"/api/v1/nodes/{cluster.node_name}/proxy"
    resources = kubectl("get", "--raw", f"{node}/metrics/resource")
    labels = f'namespace="{NAMESPACE}",pod="measured"'
    for name in ("pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes"):
        (line,) = [each for each in resources.splitlines() if each.startswith(f"{name}{{{labels}}}")]
        assert float(line.split()[1]) > 0
    containers = kubectl("get", "--raw", f"{node}/metrics/cadvisor")
    received = [line for line in containers.splitlines() if line.startswith("container_network_receive_bytes_total")]
    assert any(labels in line and 'interface="eth0"' in line for line in received)
    assert "kubelet_running_pods" in kubectl("get", "--raw", f"{node}/metrics")
    assert '"KubeletConfiguration"' in kubectl("get", "--raw", f"{node}/configz")


def _refused(kubectl: Kubectl, *words: str) -> str:
    with pytest.raises(AssertionError) as refused:
        kubectl(*words)
    return str(refused.value)
