"""The shell blocks of README.md, the command line's page and the how-tos, run as they stand against a real cluster.

Only the surroundings are the test's: `podkeeper` and `kubectl` are found, and the data directory is another.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_harness import CLIENTS, CONTEXTS, PODKEEPER, ROOT, Cluster, Namespace, eventually
from documents import shell_blocks

DEFAULT_DATA_DIR = "/var/lib/podkeeper"
#: The command line's page ends with `podkeeper down`, so it is the last.
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md")), ROOT / "docs" / "cli.md"]

WRAPPER = """#!/bin/sh
words="$1"; shift
[ "$words" = image ] && {{ words="image $1"; shift; }}
exec {program} $words --data-dir '{data_dir}' "$@"
"""


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster as `make up` leaves it, whose nginx has been started a second time, so that it has a previous log."""
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    namespace = Namespace(f"pk-docs-{os.getpid()}", "192.168.95.10")
    cluster = Cluster(namespace, tmp_path_factory.mktemp("documents") / "data", f"docs-{os.getpid()}")
    namespace.create()
    try:
        cluster.up()
        cluster.podkeeper("image build", "-t", "nginx", CONTEXTS / "nginx")
        cluster.kubectl("apply", "-f", str(ROOT / "examples" / "nginx-pod.yaml"))
        cluster.wait("condition=Ready", "pod/nginx-pod")
        cluster.kubectl("exec", "nginx-pod", "--", "nginx", "-s", "stop")
        eventually(lambda: cluster.get("pod", "nginx-pod")["status"]["containerStatuses"][0]["restartCount"] == 1)
        cluster.wait("condition=Ready", "pod/nginx-pod")
        yield cluster
        cluster.podkeeper("reset --yes")
    finally:
        if cluster.data_dir.exists():
            print(cluster.logs())
            cluster.podkeeper("reset --yes", check=False)
        namespace.remove()
        shutil.rmtree(cluster.data_dir, ignore_errors=True)


@pytest.fixture(scope="module")
def place(tutorial: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that looks like the checkout, with programs of our own."""
    place = tmp_path_factory.mktemp("checkout")
    programs = place / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "podkeeper").write_text(WRAPPER.format(program=PODKEEPER, data_dir=tutorial.data_dir))
    (programs / "podkeeper").chmod(0o755)
    (programs / "kubectl").symlink_to(CLIENTS / "kubectl-1.36")
    (place / "examples").symlink_to(ROOT / "examples")
    return place


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_the_document_shows_works(document: Path, tutorial: Cluster, place: Path) -> None:
    text = "\n".join(block.text for block in shell_blocks(document) if block.run)
    script = f"cd {place}\nexport PATH=$PWD/.venv/bin:$PATH\nset -ex\n{text}\n"
    (place / "commands").write_text(script.replace(DEFAULT_DATA_DIR, str(tutorial.data_dir)))
    tutorial.run("bash", place / "commands", input="")
