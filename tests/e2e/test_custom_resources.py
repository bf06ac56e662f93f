"""Custom resources through real clients: kubectl in two versions, the Python client, and an operator that kopf runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_harness import CLIENTS, Cluster, eventually

Tree = dict[str, Any]
Kubectl = Callable[..., str]

CHILD = Path(__file__).with_name("widget_client.py")
OPERATOR = Path(__file__).with_name("widget_operator.py")

SPEC: Tree = {
    "type": "object",
    "description": "What the widget is like.",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "description": "How large it is.", "minimum": 0},
        "color": {"type": "string", "default": "red"},
        "idle": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    },
    "x-kubernetes-validations": [{"rule": "self.size < 100", "message": "it must be small"}],
}
STATUS: Tree = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(group: str) -> Tree:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": "A thing with a size.",
                "properties": {"spec": SPEC, "status": STATUS},
            }
        },
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all", "things"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def widget(group: str, name: str, **spec: Any) -> Tree:
    return {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(params=["1.36", "1.34"])
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a namespace with a definition, both of which go at the end."""
    group, namespace = f"k{request.param.replace('.', '')}.example.com", f"crd-{request.param.replace('.', '-')}"

    def run(*words: str, stdin: str | None = None, check: bool = True) -> str:
        done = cluster.kubectl("-n", namespace, *words, version=request.param, input=stdin, check=check, timeout=60)
        return (done.stdout + ("" if check else done.stderr)).strip()

    run.group = group  # type: ignore[attr-defined]
    run("create", "namespace", namespace)
    run("create", "-f", "-", stdin=json.dumps(definition(group)))
    run("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=30s")
    yield run
    run("apply", "-f", "-", stdin=json.dumps(widget(group, "left", size=1)))
    run("delete", "namespace", namespace, "--timeout=60s")
    assert "No resources found" in run("get", f"widgets.{group}", "--all-namespaces", check=False)
    run("delete", "crd", f"widgets.{group}", "--timeout=30s")
    assert "the server doesn't have a resource type" in run("get", f"widgets.{group}", check=False)
    run("api-resources")  # kubectl remembers what was served; tests that ask for "all" would still ask for it


def test_kubectl_treats_them_as_its_own(kubectl: Kubectl, tmp_path: Path) -> None:
    group: str = kubectl.group  # type: ignore[attr-defined]
    one = json.dumps(widget(group, "one", size=1))
    assert kubectl("apply", "-f", "-", stdin=one) == f"widget.{group}/one created"
    assert kubectl("apply", "-f", "-", stdin=one) == f"widget.{group}/one unchanged"
    two = json.dumps(widget(group, "two", size=2, color="blue"))
    assert kubectl("apply", "--server-side", "-f", "-", stdin=two) == f"widget.{group}/two serverside-applied"
    assert _names(kubectl("get", f"widgets.{group}")) == [("NAME", "SIZE", "AGE"), ("one", "1"), ("two", "2")]
    assert _names(kubectl("get", "wd", "-o", "wide"))[:2] == [("NAME", "SIZE", "COLOR", "AGE"), ("one", "1", "red")]
    assert kubectl("get", "wd", "--field-selector=spec.color=blue", "-o", "name") == f"widget.{group}/two"
    refused = kubectl("get", "wd", "--field-selector=spec.size=1", check=False)
    assert "field label not supported: spec.size" in refused
    assert f"widget.{group}/one" in kubectl("get", "all", "-o", "name")
    assert f"widget.{group}/one" in kubectl("get", "things", "-o", "name")
    row = next(line.split() for line in kubectl("api-resources", f"--api-group={group}").splitlines()[1:])
    assert row == ["widgets", "wd", f"{group}/v1", "true", "Widget"]


def test_kubectl_changes_them(kubectl: Kubectl, tmp_path: Path) -> None:
    group: str = kubectl.group  # type: ignore[attr-defined]

    def size() -> str:
        return kubectl("get", "widget", "one", "-o", "jsonpath={.spec.size}")

    kubectl("create", "-f", "-", stdin=json.dumps(widget(group, "one", size=1)))
    kubectl("patch", "widget", "one", "--type=merge", "-p", '{"spec":{"size":2}}')
    assert size() == "2"
    kubectl("patch", "widget", "one", "--type=json", "-p", '[{"op":"replace","path":"/spec/size","value":3}]')
    assert size() == "3"
    kubectl("scale", "widget", "one", "--replicas=4")
    assert size() == "4"
    kubectl("patch", "widget", "one", "--subresource=status", "--type=merge", "-p", '{"status":{"size":4}}')
    kubectl("wait", "--for=jsonpath={.status.size}=4", "widget/one", "--timeout=30s")
    (tmp_path / "edit").write_text("#!/bin/sh\nsed -i 's/size: 4/size: 5/' \"$1\"\n")
    (tmp_path / "edit").chmod(0o755)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBE_EDITOR", str(tmp_path / "edit"))
        assert kubectl("edit", "widget", "one") == f"widget.{group}/one edited"
    assert size() == "5"
    refused = kubectl("patch", "widget", "one", "--type=merge", "-p", '{"spec":{"size":100}}', check=False)
    assert 'spec: Invalid value: "object": it must be small' in refused
    kubectl("label", "widget", "one", "a=b")
    kubectl("annotate", "widget", "one", "c=d")
    watched = kubectl("get", "widgets", "-w", "-o", "name", "--request-timeout=2s", check=False)
    assert f"widget.{group}/one" in watched
    assert kubectl("delete", "widget", "one", "--timeout=30s").startswith(f'widget.{group} "one" deleted')


def test_kubectl_explains_and_validates_them(kubectl: Kubectl) -> None:
    group: str = kubectl.group  # type: ignore[attr-defined]
    told = kubectl("explain", "widget.spec", f"--api-version={group}/v1")
    assert "What the widget is like." in told
    assert "size\t<integer> -required-" in told
    typo = widget(group, "typo", size=1, colour="x")
    refused = kubectl("create", "-f", "-", stdin=json.dumps(typo), check=False)
    assert 'strict decoding error: unknown field "spec.colour"' in refused
    assert "unknown field" in kubectl("create", "--validate=warn", "-f", "-", stdin=json.dumps(typo), check=False)
    assert kubectl("diff", "-f", "-", stdin=json.dumps(widget(group, "typo", size=7)), check=False).count("size") == 2


def _names(table: str) -> list[tuple[str, ...]]:
    """The cells of each line, ages left out."""
    rows = [tuple(line.split()) for line in table.splitlines()]
    return [rows[0], *(row[:-1] for row in rows[1:])]


@pytest.fixture(scope="module")
def widgets(cluster: Cluster) -> Iterator[str]:
    """The definition of the operator and of the Python client."""
    cluster.apply(definition("example.com"))
    cluster.wait("condition=Established", "crd/widgets.example.com")
    yield "example.com"
    cluster.kubectl("delete", "crd", "widgets.example.com", "--timeout=60s")
    cluster.kubectl("api-resources")


def test_the_python_clients_speak_to_them(cluster: Cluster, widgets: str) -> None:
    done = cluster.run(sys.executable, CHILD, cluster.kubeconfig, timeout=60)
    assert done.stdout.split() == ["objects", "dynamic", "done"]


def test_an_operator_works(cluster: Cluster, widgets: str, tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    words = [*cluster.namespace.enter, sys.executable, "-m", "kopf", "run", "--namespace=default", str(OPERATOR)]
    with log.open("wb") as output:
        operator = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)},
        )
    try:
        cluster.apply(widget("example.com", "run", size=2, idle=True))
        cluster.wait("jsonpath={.status.made.deployment}=run-widget", "widget/run")
        owner = cluster.get("deployment", "run-widget")["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["controller"]) == ("Widget", True)
        assert cluster.get("widget", "run")["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
        cluster.kubectl("patch", "widget", "run", "--type=merge", "-p", '{"spec":{"color":"green"}}')
        cluster.wait("jsonpath={.status.painted}=green", "widget/run")
        assert cluster.get("deployment", "run-widget")["metadata"]["labels"] == {"color": "green"}
        cluster.kubectl("delete", "widget", "run", "--timeout=30s")
        assert cluster.get("configmap", "run-is-gone")["metadata"]["name"] == "run-is-gone"
        eventually(lambda: not cluster.kubectl("get", "deployments", "-o", "name").stdout.strip())
    except BaseException:
        print(log.read_text()[-6000:])
        raise
    finally:
        operator.terminate()
        operator.wait(30)
        cluster.kubectl("delete", "configmap", "run-is-gone", "--ignore-not-found")


def test_clients_are_there() -> None:
    """The checks above would say nothing without them."""
    assert (CLIENTS / "kubectl-1.36").exists()
    assert (CLIENTS / "kubectl-1.34").exists()
