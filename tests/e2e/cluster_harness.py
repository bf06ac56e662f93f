"""A whole cluster for end-to-end tests: real processes in a network namespace with no way out, real kubectl."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / ".cache" / "clients"
CONTEXTS = ROOT / ".cache" / "contexts"
PODKEEPER = Path(sys.executable).with_name("podkeeper")


@dataclass(frozen=True)
class Namespace:
    """A network namespace with loopback and one address of its own, cut off from everything else."""

    name: str
    address: str

    @property
    def enter(self) -> list[str]:
        """The words in front of a command that is to run inside."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def create(self) -> None:
        """Makes it. A bridge without ports carries the address: dummy devices are not to be had everywhere."""
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        for line in (
            "ip link set lo up",
            "ip link add node0 type bridge",
            f"ip address add {self.address}/24 dev node0",
            "ip link set node0 up",
        ):
            subprocess.run([*self.enter, *line.split()], check=True)

    def remove(self) -> None:
        """Removes it; whatever still ran inside is gone already or is a leak that the caller has reported."""
        subprocess.run(["ip", "netns", "delete", self.name], check=False)


class Cluster:
    """One running cluster and the ways to talk to it."""

    def __init__(self, namespace: Namespace, data_dir: Path, node_name: str) -> None:
        self.namespace, self.data_dir, self.node_name = namespace, data_dir, node_name
        self.kubeconfig = data_dir / "admin.kubeconfig"

    def run(
        self, *command: str | Path, check: bool = True, input: str | bytes | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside the cluster's network namespace."""
        text = input.decode() if isinstance(input, bytes) else input
        words = [*self.namespace.enter, *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, input=text, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words[2:])}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def podkeeper(self, command: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a podkeeper command on this cluster's data directory."""
        words = command.split()
        return self.run(PODKEEPER, *words, "--data-dir", self.data_dir, *arguments, **options)

    def kubectl(self, *arguments: str, version: str = "1.36", **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a real kubectl as the administrator."""
        cache = f"--cache-dir={self.data_dir.parent / 'kubectl-cache'}"
        return self.run(CLIENTS / f"kubectl-{version}", f"--kubeconfig={self.kubeconfig}", cache, *arguments, **options)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Applies objects with kubectl."""
        self.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """One object as kubectl prints it."""
        return dict(json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout))

    def wait(self, condition: str, target: str, namespace: str = "default", timeout: int = 60) -> None:
        """kubectl wait: an event, not a poll."""
        self.kubectl("wait", f"--for={condition}", target, "-n", namespace, f"--timeout={timeout}s")

    def pids(self, component: str) -> list[int]:
        """Process ids of a component of this cluster, as ``ps`` shows them."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().decode().split("\0")
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if component in words and str(self.data_dir) in words and "up" not in words:
                    found.append(int(entry.name))
        return found

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Starts it in the background."""
        identity = ("--node-name", self.node_name, "--node-ip", self.namespace.address)
        return self.podkeeper("up --detach", *identity, *arguments)

    def logs(self) -> str:
        """The ends of all component logs, for a failing test's message."""
        return "\n".join(
            f"--- {each.name}\n{each.read_text()[-4000:]}" for each in (self.data_dir / "logs").glob("*.log")
        )


def eventually(check: Any, timeout: float = 30.0) -> Any:
    """Calls ``check`` until it answers something true: for state of the kernel and of programs without events."""
    deadline = time.monotonic() + timeout
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {check}"
        time.sleep(0.05)
    return answer
