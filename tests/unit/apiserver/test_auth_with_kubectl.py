"""kubectl auth whoami, can-i and reconcile, as people see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENT = Path(__file__).parents[3] / ".cache" / "clients" / "kubectl-1.36"
RBAC = "/apis/rbac.authorization.k8s.io/v1"

Auth = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def auth(api: Any, tmp_path: Path) -> Auth:
    if not CLIENT.exists():
        pytest.skip(f"{CLIENT} is not there; tools/fetch_clients.py fetches it")

    async def run(*words: str) -> tuple[int, str]:
        where = ["--server", api.server.url, "--certificate-authority", api.server.authority.pair.certificate]
        options = [*where, "--token", api.token, "--kubeconfig", "/dev/null", "--cache-dir", tmp_path]
        process = await asyncio.create_subprocess_exec(
            CLIENT,
            "auth",
            *words,
            *map(str, options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(tmp_path)},
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode is not None
        return process.returncode, output

    return run


async def test_who_one_is(auth: Auth) -> None:
    code, told = await auth("whoami")
    assert code == 0
    rows = [line.split(maxsplit=1) for line in told.splitlines()]
    assert ["Username", "kubernetes-admin"] in rows
    assert ["Groups", "[system:masters system:authenticated]"] in rows
    assert json.loads((await auth("whoami", "-o", "json"))[1])["status"]["userInfo"]["username"] == "kubernetes-admin"


async def test_what_one_can_do(auth: Auth, api: Any) -> None:
    assert await auth("can-i", "delete", "nodes") == (
        0,
        "Warning: resource 'nodes' is not namespace scoped\n\nyes\n",
    )
    assert (await auth("can-i", "get", "pods", "--as", "nobody")) == (1, "no\n")
    rule = {"apiGroups": [""], "resources": ["pods", "pods/log"], "resourceNames": ["one"], "verbs": ["get"]}
    await api("POST", f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "peek"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "peek"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "peek"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    await api("POST", f"{RBAC}/namespaces/default/rolebindings", binding)
    code, told = await auth("can-i", "--list", "--as", "jane", "--as-group", "system:authenticated")
    rows = [line.split() for line in told.splitlines()]
    assert code == 0
    assert ["Resources", "Non-Resource", "URLs", "Resource", "Names", "Verbs"] in rows
    assert ["pods", "[]", "[one]", "[get]"] in rows
    assert ["pods/log", "[]", "[one]", "[get]"] in rows
    assert ["selfsubjectreviews.authentication.k8s.io", "[]", "[]", "[create]"] in rows
    assert ["[/healthz]", "[]", "[get]"] in rows
    told = (await auth("can-i", "--list", "--as", "system:node:n1", "--as-group", "system:nodes"))[1]
    assert "node authorizer does not support user rule resolution" in told


async def test_roles_are_reconciled(auth: Auth, api: Any, tmp_path: Path) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    extra = {"apiGroups": ["x.io"], "resources": ["y"], "verbs": ["z"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "kept"}}
    await api("POST", f"{RBAC}/clusterroles", role | {"rules": [extra]})
    (tmp_path / "role.json").write_text(json.dumps(role | {"rules": [rule]}))
    code, told = await auth("reconcile", "-f", str(tmp_path / "role.json"))
    assert code == 0, told
    assert "clusterrole.rbac.authorization.k8s.io/kept reconciled" in told
    assert (await api("GET", f"{RBAC}/clusterroles/kept")).tree["rules"] == [extra, rule]
