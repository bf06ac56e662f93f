"""A client in Go: kubectl's typed commands send protobuf and ask for it first, so they prove what we write and read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

KUBECTL = Path(__file__).parents[3] / ".cache" / "clients" / "kubectl-1.36"
SPOKEN = "Content-Type: application/vnd.kubernetes.protobuf"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not KUBECTL.exists(), reason="tools/fetch_clients.py .cache/clients was not run"),
]


@pytest.fixture
def kubectl(api: Any, tmp_path: Path) -> Any:
    """Runs kubectl as the admin; gives its output and, with -v=8, what went over the wire."""
    where = [f"--server=https://127.0.0.1:{api.server.server.port}", f"--token={api.token}"]
    where += ["--insecure-skip-tls-verify", "--kubeconfig=/dev/null", f"--cache-dir={tmp_path}", "-v=8"]

    async def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        program = await asyncio.create_subprocess_exec(
            KUBECTL, *where, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(60):
                out, err = await program.communicate()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        assert program.returncode == code, err.decode()
        return out.decode(), err.decode()

    return run


async def test_what_kubectl_creates_and_describes_goes_over_the_wire_in_protobuf(kubectl: Any) -> None:
    made, wire = await kubectl("create", "deployment", "go-web", "--image=example/web:1", "--replicas=2")
    assert made == "deployment.apps/go-web created\n"
    assert wire.count(SPOKEN) == 2  # the request's and the answer's
    told, wire = await kubectl("describe", "deployment", "go-web")
    assert SPOKEN in wire
    assert "Image:         example/web:1" in told
    assert "2 desired | 0 updated | 0 total | 0 available | 0 unavailable" in told
    assert "RollingUpdateStrategy:  25% max unavailable, 25% max surge" in told


@pytest.mark.parametrize(
    ("creation", "kind", "expected"),
    [
        (("configmap", "go-map", "--from-literal=key=value"), "configmap", "key:\n----\nvalue"),
        (("secret", "generic", "go-secret", "--from-literal=key=value"), "secret", "key:  5 bytes"),
        (("role", "go-role", "--verb=get,list", "--resource=pods"), "role", "[get list]"),
        (("quota", "go-quota", "--hard=secrets=99"), "quota", "go-quota"),
        (("service", "nodeport", "go-service", "--tcp=80:http"), "service", "http/TCP"),
        (("cronjob", "go-cron", "--image=a", "--schedule=@hourly"), "cronjob", "@hourly"),
        (("poddisruptionbudget", "go-pdb", "--selector=a=b", "--min-available=50%"), "pdb", "50%"),
        (("ingress", "go-ingress", "--rule=a.example/b=c:80"), "ingress", "a.example"),
        (("priorityclass", "go-class", "--value=-7"), "priorityclass", "-7"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_kinds_survive_both_ways(kubectl: Any, creation: tuple[str, ...], kind: str, expected: str) -> None:
    _, wire = await kubectl("create", *creation)
    assert SPOKEN in wire
    told, wire = await kubectl("describe", kind)
    assert SPOKEN in wire
    assert expected in told


async def test_tokens_and_reviews(kubectl: Any) -> None:
    token, wire = await kubectl("create", "token", "default")
    assert token.count(".") == 2
    assert SPOKEN in wire
    answer, _ = await kubectl("auth", "can-i", "delete", "nodes")
    assert "yes" in answer


async def test_draining_reads_pods_and_evicts_them(api: Any, kubectl: Any, make_pod: Any) -> None:
    assert (await api("POST", "/api/v1/nodes", {"metadata": {"name": "go-node"}})).status == 201
    made = await api("POST", "/api/v1/namespaces/default/pods", make_pod("go-pod", nodeName="go-node"))
    assert made.status == 201, made.message
    told, wire = await kubectl("drain", "go-node", "--force", "--dry-run=server")
    assert "node/go-node drained" in told
    assert "evicting pod default/go-pod (server dry run)" in told
    assert SPOKEN in wire


async def test_errors_are_understood(kubectl: Any) -> None:
    _, wire = await kubectl("create", "token", "none", code=1)
    assert SPOKEN in wire
    assert 'error: failed to create token: serviceaccounts "none" not found' in wire
