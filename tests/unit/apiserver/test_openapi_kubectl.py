"""kubectl explain, as people see it, in the newest version and one that a cluster of this version must get on with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = Path(__file__).parents[3] / ".cache" / "clients"

Explain = Callable[..., Awaitable[str]]


@pytest.fixture(params=["kubectl-1.36", "kubectl-1.34"])
def explain(request: pytest.FixtureRequest, api: Any, tmp_path: Path) -> Explain:
    program = CLIENTS / request.param
    if not program.exists():
        pytest.skip(f"{program} is not there; tools/fetch_clients.py fetches it")

    async def run(*words: str) -> str:
        where = ["--server", api.server.url, "--certificate-authority", api.server.authority.pair.certificate]
        options = [*where, "--token", api.token, "--kubeconfig", "/dev/null", "--cache-dir", tmp_path]
        process = await asyncio.create_subprocess_exec(
            program,
            "explain",
            *words,
            *map(str, options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(tmp_path)},
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output
        return " ".join(output.split())

    return run


async def test_a_kind_is_described_with_its_fields(explain: Explain) -> None:
    output = await explain("pods")
    assert "KIND: Pod VERSION: v1 DESCRIPTION: A group of containers" in output
    assert "spec <PodSpec> What is to run." in output
    assert "metadata <ObjectMeta> Standard object's metadata" in output


async def test_a_field_is_described_with_those_below_it(explain: Explain) -> None:
    output = await explain("deployment.spec.strategy")
    assert "GROUP: apps KIND: Deployment VERSION: v1 FIELD: strategy <DeploymentStrategy>" in output
    assert (
        "DESCRIPTION: The way a change of the template reaches the pods. How old pods are replaced by new ones."
        in output
    )
    assert "rollingUpdate <RollingUpdateDeployment> Settings of type RollingUpdate." in output


async def test_required_fields_are_marked(explain: Explain) -> None:
    output = await explain("pod.spec.containers")
    assert "FIELD: containers <[]Container>" in output
    assert "name <string> -required- Name of the container, unique in the pod." in output


async def test_all_fields_below_are_shown(explain: Explain) -> None:
    output = await explain("pod.spec.containers", "--recursive")
    assert "livenessProbe <Probe> exec <ExecAction> command <[]string> failureThreshold <integer>" in output
    assert "limits <map[string]Quantity>" in output


@pytest.mark.parametrize(
    ("version", "field"), [("autoscaling/v1", "targetCPUUtilizationPercentage"), ("autoscaling/v2", "behavior")]
)
async def test_the_version_can_be_chosen(explain: Explain, version: str, field: str) -> None:
    output = await explain("hpa.spec", f"--api-version={version}")
    assert f"VERSION: {version.removeprefix('autoscaling/')}" in output
    assert field in output


async def test_version_2_of_the_documents_can_be_used(explain: Explain) -> None:
    output = await explain("service.spec.ports", "--output=plaintext-openapiv2")
    assert "nodePort <integer> The port on every node that leads here" in output


@pytest.mark.parametrize(
    "path",
    [
        "pod.spec.volumes.configMap",
        "configmap.data",
        "node.status.nodeInfo",
        "job.spec.template.spec",
        "role.rules",
        "pvc.spec.resources.requests",
        "secret.metadata.ownerReferences",
    ],
)
async def test_paths_that_people_ask_for_are_described(explain: Explain, path: str) -> None:
    description = (await explain(path)).partition("DESCRIPTION: ")[2]
    assert description
    assert not description.startswith("<empty>")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bells(api: Any) -> str:
    """A custom resource."""
    ring = {"type": "integer", "description": "How often it rings.", "minimum": 1}
    spec = {"type": "object", "description": "What the bell does.", "required": ["ring"], "properties": {"ring": ring}}
    schema = {"type": "object", "description": "A bell in a tower.", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "bells", "kind": "Bell", "listKind": "BellList"}
    definition = {
        "metadata": {"name": "bells.stable.example.com"},
        "spec": {"group": "stable.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert (await api("GET", "/openapi/v3/apis/stable.example.com/v1")).status == 404
    assert (await api("POST", path, definition)).status == 201
    async with asyncio.timeout(10):
        while (await api("GET", "/openapi/v3/apis/stable.example.com/v1")).status != 200:
            pass
    return path + "/bells.stable.example.com"


@pytest.mark.parametrize("form", ["plaintext", "plaintext-openapiv2"])
async def test_custom_resources_are_described(explain: Explain, bells: str, form: str) -> None:
    output = await explain("bells", f"--output={form}")
    assert "KIND: Bell" in output
    assert "DESCRIPTION: A bell in a tower." in output
    assert "metadata <" in output
    output = await explain("bell.spec", f"--output={form}")
    assert "What the bell does." in output
    assert "ring <integer> -required- How often it rings." in output


async def test_a_changed_definition_changes_its_document_alone(api: Any, bells: str) -> None:
    async def hashes() -> dict[str, str]:
        found = (await api("GET", "/openapi/v3")).tree["paths"]
        return {name: each["serverRelativeURL"] for name, each in found.items()}

    before = await hashes()
    patch = [{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/description", "value": "Rung."}]
    patched = await api("PATCH", bells, patch, content_type="application/json-patch+json")
    assert patched.status == 200, patched.body
    async with asyncio.timeout(10):
        while (after := await hashes()) == before:
            pass
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"apis/stable.example.com/v1"}
    document = (await api("GET", after["apis/stable.example.com/v1"])).tree
    assert document["components"]["schemas"]["com.example.stable.v1.Bell"]["description"] == "Rung."
