"""What nodes and programs on nodes may do: the node authorizer, and a policy by which an account on a node writes its
node's objects alone. Upstream publishes these scenarios beside its conformance list."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE = "system:node:worker"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
NODE_NAME = "authentication.kubernetes.io/node-name"


async def as_node(api: RawClient, method: str, path: str, body: Any = None) -> int:
    reply = await api(method, path, body, impersonate_user=NODE, impersonate_group="system:nodes")
    if reply.status == 403:
        assert reply.tree["reason"] == "Forbidden"
    return reply.status


@pytest.mark.parametrize("resource", ["secrets", "configmaps"])
async def test_a_node_learns_nothing_of_what_its_pods_do_not_use(api: RawClient, namespace: Any, resource: str) -> None:
    objects = f"/api/v1/namespaces/{await namespace()}/{resource}"
    assert await as_node(api, "GET", f"{objects}/foo") == 403
    assert (await api("POST", objects, {"metadata": {"name": "node-auth"}})).status == 201
    assert await as_node(api, "GET", f"{objects}/node-auth") == 403


async def test_a_node_reads_the_secret_of_its_pod(api: RawClient, namespace: Any) -> None:
    where = f"/api/v1/namespaces/{await namespace()}"
    assert (await api("POST", f"{where}/secrets", {"metadata": {"name": "used"}})).status == 201
    assert await as_node(api, "GET", f"{where}/secrets/used") == 403
    volumes = [{"name": "v", "secret": {"secretName": "used"}}]
    spec = {"nodeName": "worker", "containers": [{"name": "pause", "image": "pause"}], "volumes": volumes}
    assert (await api("POST", f"{where}/pods", {"metadata": {"name": "pause"}, "spec": spec})).status == 201
    assert await as_node(api, "GET", f"{where}/secrets/used") == 200


async def test_a_node_neither_makes_nor_removes_another(api: RawClient) -> None:
    assert await as_node(api, "POST", "/api/v1/nodes", {"metadata": {"name": "foo"}}) == 403
    assert await as_node(api, "DELETE", "/api/v1/nodes/foo") == 403


def per_node_policy(account: str) -> dict[str, Any]:
    """ConfigMaps are written by the account alone where their name is that of the node it runs on."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": ["configmaps"],
    }
    return {
        "metadata": {"name": "by-node"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [
                {"name": "restricted", "expression": f"request.userInfo.username == '{account}'"},
            ],
            "variables": [
                {"name": "node", "expression": f"request.userInfo.extra[?'{NODE_NAME}'][0].orValue('')"},
                {"name": "name", "expression": "(request.operation == 'DELETE' ? oldObject : object).metadata.name"},
            ],
            "validations": [
                {"expression": "variables.node != ''", "message": "no node association found for user"},
                {
                    "expression": "variables.node == variables.name",
                    "messageExpression": "'running on node ' + variables.node + ' may not modify ' + variables.name",
                },
            ],
        },
    }


async def test_a_policy_restricts_an_account_to_its_node(api: RawClient, namespace: Any) -> None:
    where = await namespace()
    root = f"/api/v1/namespaces/{where}"
    account = f"system:serviceaccount:{where}:default"
    assert (await api("POST", POLICIES, per_node_policy(account))).status == 201
    binding = {"metadata": {"name": "by-node"}, "spec": {"policyName": "by-node", "validationActions": ["Deny"]}}
    assert (await api("POST", BINDINGS, binding)).status == 201
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": where}
    edit = {"metadata": {"name": "edit"}, "subjects": [subject], "roleRef": role}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{where}/rolebindings"
    assert (await api("POST", path, edit)).status == 201
    await api("POST", "/api/v1/nodes", {"metadata": {"name": "here"}})
    spec = {"nodeName": "here", "containers": [{"name": "sleeper", "image": "busybox"}]}
    pod = (await api("POST", f"{root}/pods", {"metadata": {"name": "sa-token"}, "spec": spec})).tree
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "sa-token", "uid": pod["metadata"]["uid"]}
    tokens = f"{root}/serviceaccounts/default/token"
    bound = (await api("POST", tokens, {"spec": {"boundObjectRef": reference}})).tree["status"]["token"]
    loose = (await api("POST", tokens, {"spec": {}})).tree["status"]["token"]
    who = await api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=bound)
    assert who.tree["status"]["userInfo"]["extra"][NODE_NAME] == ["here"]

    maps = f"{root}/configmaps"
    own, other = {"metadata": {"name": "here"}}, {"metadata": {"name": "unlikely-node"}}
    refusal = "running on node here may not modify unlikely-node"

    async def refused(method: str, path: str, body: Any = None, token: str = bound) -> str:
        reply = await api(method, path, body, token=token)
        assert reply.status == 422, reply.body
        return reply.message

    assert (await api("POST", maps, own, token=bound)).status == 201
    assert refusal in await refused("POST", maps, other)
    assert (await api("POST", maps, other)).status == 201  # others may
    assert (await api("PUT", f"{maps}/here", own, token=bound)).status == 200
    assert refusal in await refused("PUT", f"{maps}/unlikely-node", other)
    assert (await api("DELETE", f"{maps}/here", token=bound)).status == 200
    assert refusal in await refused("DELETE", f"{maps}/unlikely-node")
    assert "may not modify" in await refused("DELETE", maps)  # a collection, in any order
    for method, path, body in (("POST", maps, own), ("DELETE", f"{maps}/unlikely-node", None)):
        assert "no node association found for user" in await refused(method, path, body, token=loose)
