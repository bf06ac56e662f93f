"""Discovery in both forms, the server's version, and answers that cannot be Tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
FORM = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
AGGREGATED = FORM.format("v2")
#: What clients with an aggregated discovery interface send.
CLIENTS = ",".join((AGGREGATED, FORM.format("v2beta1"), "application/json"))
EXPECTED = {
    "/v1/namespaces",
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "apiextensions.k8s.io/v1/customresourcedefinitions",
    "apiregistration.k8s.io/v1/apiservices",
    "apps/v1/deployments",
    "authentication.k8s.io/v1/tokenreviews",
    "authorization.k8s.io/v1/selfsubjectaccessreviews",
    "autoscaling/v1/horizontalpodautoscalers",
    "autoscaling/v2/horizontalpodautoscalers",
    "batch/v1/jobs",
    "certificates.k8s.io/v1/certificatesigningrequests",
    "coordination.k8s.io/v1/leases",
    "discovery.k8s.io/v1/endpointslices",
    "events.k8s.io/v1/events",
    "networking.k8s.io/v1/ingresses",
    "node.k8s.io/v1/runtimeclasses",
    "policy/v1/poddisruptionbudgets",
    "scheduling.k8s.io/v1/priorityclasses",
    "storage.k8s.io/v1/csinodes",
}


async def aggregated(api: RawClient, accept: str) -> dict[str, Tree]:
    """Every resource by group/version/plural, of /api and /apis together."""
    found = {}
    for path in ("/api", "/apis"):
        reply = await api("GET", path, accept=accept)
        assert reply.headers["content-type"] == AGGREGATED
        assert (reply.tree["kind"], reply.tree["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        for group in reply.tree["items"]:
            for version in group["versions"]:
                for resource in version["resources"]:
                    name = group.get("metadata", {}).get("name", "")
                    found[f"{name}/{version['version']}/{resource['resource']}"] = resource
    return found


@pytest.mark.parametrize("accept", [AGGREGATED, CLIENTS], ids=["raw", "client"])
async def test_aggregated_discovery_has_every_built_in_resource(api: RawClient, accept: str) -> None:
    assert not EXPECTED - (await aggregated(api, accept)).keys()


@pytest.mark.parametrize("accept", [AGGREGATED, CLIENTS], ids=["raw", "client"])
async def test_aggregated_discovery_has_custom_resources(api: RawClient, accept: str) -> None:
    group = f"group{len(accept)}.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": "testcrds", "singular": "testcrd", "kind": "testcrd", "listKind": "testcrdList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = await api("POST", path, {"metadata": {"name": f"testcrds.{group}"}, "spec": spec})
    assert made.status == 201, made.body

    async def shown() -> Any:
        return (await aggregated(api, accept)).get(f"{group}/v1/testcrds")

    resource = await api.eventually(shown)
    assert resource["responseKind"]["kind"] == "testcrd"
    assert resource["scope"] == "Namespaced"
    assert (await api("DELETE", f"{path}/testcrds.{group}")).status == 200


async def test_every_group_prefers_a_version_that_it_has(api: RawClient) -> None:
    groups = (await api("GET", "/apis")).tree["groups"]
    assert groups
    for group in groups:
        alone = (await api("GET", f"/apis/{group['name']}")).tree
        assert {key: alone[key] for key in ("name", "versions", "preferredVersion")} == group
        assert group["preferredVersion"] in group["versions"]


async def test_every_group_version_names_itself_and_its_resources(api: RawClient) -> None:
    for group in (await api("GET", "/apis")).tree["groups"]:
        for version in group["versions"]:
            found = (await api("GET", f"/apis/{version['groupVersion']}")).tree
            assert (found["kind"], found["groupVersion"]) == ("APIResourceList", version["groupVersion"])
            assert any("/" not in each["name"] and each["verbs"] for each in found["resources"])


async def test_the_version_of_the_server_is_two_numbers(api: RawClient) -> None:
    found = json.loads((await api("GET", "/version")).body)
    assert found["major"].isdigit()
    assert found["minor"].isdigit()


async def test_what_has_no_metadata_is_no_table(api: RawClient) -> None:
    review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await api("POST", path, review, accept=table)).status == 406
