"""A small operator, run by kopf as a program of its own: a Widget gets a Deployment with as many replicas as it wants.

It says in the Widget's status what it has done, and notes the deletion in a config map before it lets go.
"""

from __future__ import annotations

from typing import Any

import kopf
import kubernetes

GROUP, VERSION, PLURAL = "example.com", "v1", "widgets"
Tree = dict[str, Any]


@kopf.on.startup()
def connect(settings: kopf.OperatorSettings, **_: Any) -> None:
    """The client reads the same kubeconfig as the operator."""
    settings.posting.level = 30
    kubernetes.config.load_kube_config()


@kopf.on.create(GROUP, VERSION, PLURAL)
def made(spec: Tree, name: str, namespace: str, **_: Any) -> Tree:
    """A Deployment that the Widget owns."""
    template = {
        "metadata": {"labels": {"widget": name}},
        "spec": {"containers": [{"name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent"}]},
    }
    body: Tree = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-widget"},
        "spec": {
            "replicas": 0 if spec.get("idle") else spec["size"],
            "selector": {"matchLabels": {"widget": name}},
            "template": template,
        },
    }
    kopf.adopt(body)
    kubernetes.client.AppsV1Api().create_namespaced_deployment(namespace, body)
    return {"deployment": f"{name}-widget"}


@kopf.on.field(GROUP, VERSION, PLURAL, field="spec.color", old=kopf.PRESENT, new=kopf.PRESENT)
def painted(new: str, name: str, namespace: str, patch: kopf.Patch, **_: Any) -> None:
    """A change is passed on, and the status says so."""
    body = {"metadata": {"labels": {"color": new}}}
    kubernetes.client.AppsV1Api().patch_namespaced_deployment(f"{name}-widget", namespace, body)
    patch.status["painted"] = new


@kopf.on.delete(GROUP, VERSION, PLURAL)
def gone(name: str, namespace: str, **_: Any) -> None:
    """What is left of a Widget."""
    body = {"metadata": {"name": f"{name}-is-gone"}}
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, body)
