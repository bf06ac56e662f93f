"""Python clients on a cluster, kubernetes, kr8s and lightkube: real programs that must not notice whose API it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_programs import account_directory, in_a_namespace, in_cluster, talking_pod
from cluster_harness import Cluster

PARTS = {
    "kubernetes": [
        "an_informer_follows",
        "a_leader_is_elected",
        "documents_are_created_and_applied",
    ],
    "kr8s": [
        "life_of_an_object",
        "lists_in_pages",
        "watches",
        "what_is_served",
        "a_deployment_is_scaled",
        "a_kind_of_ones_own",
    ],
    "lightkube": [
        "life_of_an_object",
        "applies",
        "lists_in_pages",
        "watches",
        "a_deployment_is_scaled",
        "a_kind_of_ones_own",
    ],
}
STREAMS = {"kubernetes": ["streams_of_a_pod", "its_other_half_is_asynchronous"]}


@pytest.fixture(scope="module", params=PARTS)
def client(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """The client's name, which is its namespace's."""
    with in_a_namespace(cluster, request.param):
        yield request.param


def run(cluster: Cluster, client: str, *words: str | Path) -> list[str]:
    """The parts that the client's program went through."""
    program = Path(__file__).with_name(f"{client}_client.py")
    return cluster.run("env", *in_cluster(cluster), sys.executable, program, *words, timeout=60).stdout.split()


def test_objects_are_written_listed_and_followed(cluster: Cluster, client: str) -> None:
    assert run(cluster, client, "objects", cluster.kubeconfig) == PARTS[client]


def test_streams_of_a_pod(cluster: Cluster, client: str) -> None:
    pod = talking_pod(cluster, client)
    assert run(cluster, client, "pods", cluster.kubeconfig, pod) == STREAMS.get(client, ["streams_of_a_pod"])


def test_a_program_in_a_pod_is_its_account(cluster: Cluster, client: str, tmp_path: Path) -> None:
    account_directory(cluster, client, "robot", tmp_path / "serviceaccount")
    assert run(cluster, client, "account", tmp_path / "serviceaccount") == ["as_an_account"]
