"""helm on a cluster: a chart with a definition of a kind of its own, hooks and a test, through a release's life."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from client_programs import in_a_namespace
from cluster_harness import CLIENTS, Cluster

CHART = Path(__file__).with_name("chart")
NAMESPACE = "helm"
Helm = Callable[..., str]


@pytest.fixture
def helm(cluster: Cluster, tmp_path: Path) -> Iterator[Helm]:
    """helm with a home of its own, in a namespace."""
    places = [f"HELM_{name}_HOME={tmp_path}" for name in ("CACHE", "CONFIG", "DATA")]
    options = ("--kubeconfig", cluster.kubeconfig, "--namespace", NAMESPACE)

    def run(*words: str | Path, check: bool = True) -> str:
        done = cluster.run("env", *places, CLIENTS / "helm", *words, *options, check=check, timeout=90)
        return (done.stdout + ("" if check else done.stderr)).strip()

    with in_a_namespace(cluster, NAMESPACE):
        yield run
    cluster.kubectl("delete", "crd", "banners.helm.example.com", "--ignore-not-found", "--timeout=30s")
    cluster.kubectl("api-resources")  # kubectl remembers what was served


def test_a_release_is_installed_upgraded_rolled_back_and_uninstalled(cluster: Cluster, helm: Helm) -> None:
    def data() -> dict[str, str]:
        return dict(cluster.get("configmap", "shop", NAMESPACE)["data"])

    def log(pod: str) -> str:
        return cluster.kubectl("logs", "-n", NAMESPACE, f"shop-{pod}").stdout.strip()

    def history() -> list[tuple[int, str]]:
        return [(each["revision"], each["status"]) for each in json.loads(helm("history", "shop", "-o", "json"))]

    helm("install", "shop", CHART, "--wait", "--timeout=60s")
    assert data() == {"color": "red", "api": "36", "banners": "true", "before": "none"}
    assert cluster.get("banner", "shop", NAMESPACE)["spec"] == {"color": "red"}
    assert cluster.get("deployment", "shop", NAMESPACE)["status"]["readyReplicas"] == 1
    assert log("before") == "before red"
    assert "Succeeded" in helm("test", "shop")
    assert log("test") == "test red"
    assert "cannot reuse a name" in helm("install", "shop", CHART, check=False)

    helm("upgrade", "shop", CHART, "--set=color=green,replicas=2", "--wait", "--timeout=60s")
    assert (data()["color"], data()["before"], log("before"), log("after")) == (
        "green", "red", "before green", "after green",
    )  # fmt: skip
    assert cluster.get("deployment", "shop", NAMESPACE)["status"]["readyReplicas"] == 2
    assert "color: blue" in helm("upgrade", "shop", CHART, "--set=color=blue", "--dry-run=server")
    assert data()["color"] == "green"

    helm("rollback", "shop", "1", "--wait", "--timeout=60s")
    assert data()["color"] == "red"
    assert cluster.get("deployment", "shop", NAMESPACE)["spec"]["replicas"] == 1
    assert history() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert secrets(cluster) == [f"sh.helm.release.v1.shop.v{number}" for number in (1, 2, 3)]

    assert 'release "shop" uninstalled' in helm("uninstall", "shop", "--wait", "--timeout=60s")
    left = cluster.kubectl("get", "banners,deployments,services,secrets", "-n", NAMESPACE, "-o", "name").stdout
    assert left == ""
    assert cluster.kubectl("get", "crd", "banners.helm.example.com", "-o", "name").returncode == 0  # helm leaves these


def test_what_the_server_refuses_fails_the_release(cluster: Cluster, helm: Helm) -> None:
    said = helm("install", "wrong", CHART, "--set=color=7", "--timeout=60s", check=False)
    assert "spec.color in body must be of type string" in said
    assert json.loads(helm("list", "-o", "json"))[0]["status"] == "failed"
    helm("uninstall", "wrong", "--wait", "--timeout=60s")


def secrets(cluster: Cluster) -> list[str]:
    """Names of the Secrets in which helm keeps releases, found by their type."""
    words = ("get", "secrets", "-n", NAMESPACE, "--field-selector=type=helm.sh/release.v1", "-o", "json")
    found: list[dict[str, Any]] = json.loads(cluster.kubectl(*words).stdout)["items"]
    return [each["metadata"]["name"] for each in found]
