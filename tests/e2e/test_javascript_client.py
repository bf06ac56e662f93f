"""The JavaScript client, @kubernetes/client-node, on a cluster: a real program that must not notice whose API it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from client_programs import account_directory, in_a_namespace, in_cluster, talking_pod
from cluster_harness import CLIENTS, Cluster

PROGRAM = Path(__file__).parent / "javascript" / "client.mjs"
NAMESPACE = "javascript"


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Cluster) -> Iterator[None]:
    with in_a_namespace(cluster, NAMESPACE):
        yield


def run(cluster: Cluster, *words: str | Path) -> list[str]:
    """The parts that the program went through."""
    # Node.js looks for packages beside a program, or, when it reads it from its input, from the current directory on
    node = (CLIENTS / "node" / "bin" / "node", "--input-type=module", "-")
    done = cluster.run("env", "-C", CLIENTS / "javascript", *node, *words, input=PROGRAM.read_text(), timeout=60)
    return done.stdout.split()


def test_objects_are_written_listed_and_followed(cluster: Cluster) -> None:
    assert run(cluster, "objects", cluster.kubeconfig) == [
        "lifeOfAnObject",
        "everyKindOfPatch",
        "listsInPages",
        "anInformerFollows",
        "aWatchTellsTheRestOfAStory",
        "objectsOfAnyKind",
    ]


def test_streams_of_a_pod(cluster: Cluster) -> None:
    assert run(cluster, "pods", cluster.kubeconfig, talking_pod(cluster, NAMESPACE)) == [
        "aCommandInAPod",
        "muchGoesBothWays",
        "aTerminalInAPod",
        "logsOfAPod",
        "aPortOfAPod",
    ]


def test_a_program_in_a_pod_is_its_account(cluster: Cluster, tmp_path: Path) -> None:
    place = tmp_path / "var" / "run" / "secrets" / "kubernetes.io" / "serviceaccount"
    account_directory(cluster, NAMESPACE, "robot", place)
    words = ("env", "-C", CLIENTS / "javascript", *in_cluster(cluster), CLIENTS / "node" / "bin" / "node")
    program = ("--input-type=module", "-", "account", tmp_path)
    assert cluster.run(*words, *program, input=PROGRAM.read_text(), timeout=60).stdout.split() == ["asAnAccount"]
