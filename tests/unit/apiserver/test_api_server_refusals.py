"""Bad input over HTTPS: upstream's status and words for it, and nothing stored by any of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podkeeper.apiserver import responses

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
MERGE_PATCH, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"kind": 3},
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
            'error: json: cannot unmarshal number into Go struct field .kind of type string ({"kind": 3})',
        ),
        (
            {"kind": "ConfigMap", "apiVersion": "example.com/v9"},
            'ConfigMap in version "v9" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version '
            '"example.com/v9" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"apiVersion": "autoscaling/v1", "kind": "Scale"},
            'Scale in version "v1" cannot be handled as a ConfigMap',
        ),
        (
            config_map("x", creationTimestamp="yesterday"),
            'ConfigMap in version "v1" cannot be handled as a ConfigMap',
        ),
        (config_map("x", generation="one"), 'ConfigMap in version "v1" cannot be handled as a ConfigMap'),
        (config_map("x", managedFields=3), 'ConfigMap in version "v1" cannot be handled as a ConfigMap'),
    ],
)
async def test_bodies_that_are_no_config_map(api: Any, body: Any, message: str) -> None:
    reply = await api("POST", CONFIG_MAPS, body)
    assert (reply.status, reply.tree["reason"]) == (400, "BadRequest")
    assert reply.message.startswith(message)
    assert (await api("GET", f"{CONFIG_MAPS}/x")).status == 404


async def test_null_is_an_object_without_members(api: Any) -> None:
    reply = await api("POST", CONFIG_MAPS, b"null")
    assert (reply.status, reply.message) == (
        422,
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"\xff\xfe", "\ufffd\ufffd"),
        (rb"\ud800", "\ufffd"),
        (rb"\udc00x", "\ufffdx"),
        (rb"\ud83d\ude00\ud83d", "\U0001f600\ufffd"),
        (rb"\\ud800\udfff", "\\ud800\ufffd"),
    ],
)
async def test_broken_characters_are_replaced(api: Any, text: bytes, read: str) -> None:
    body = b'{"metadata":{"name":"characters"},"data":{"a":"%b"}}' % text
    reply = await api("POST", f"{CONFIG_MAPS}?dryRun=All", body)
    assert (reply.status, reply.tree["data"]["a"]) == (201, read)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"name": "other"}, "the name of the object (other) does not match the name on the URL (named)"),
        (
            {"name": "named", "namespace": "kube-system"},
            "the namespace of the object (kube-system) does not match the namespace on the request (default)",
        ),
        ({"name": None}, "the name of the object (named based on URL) was undeterminable: name must be provided"),
    ],
)
async def test_a_body_names_the_object_of_its_url(api: Any, method: str, metadata: Any, message: str) -> None:
    await api("POST", CONFIG_MAPS, config_map("named"))
    media = MERGE_PATCH if method == "PATCH" else "application/json"
    reply = await api(method, f"{CONFIG_MAPS}/named", {"metadata": metadata, "data": {"a": "b"}}, content_type=media)
    assert (reply.status, reply.message) == (400, message)
    assert "data" not in (await api("GET", f"{CONFIG_MAPS}/named")).tree


async def test_a_namespace_means_nothing_to_a_cluster_wide_kind(api: Any) -> None:
    body = {"metadata": {"name": "everywhere", "namespace": "somewhere"}, "rules": []}
    made = await api("POST", CLUSTER_ROLES, body)
    assert (made.status, made.tree["metadata"].get("namespace")) == (201, None)
    for method, media in (("PUT", "application/json"), ("PATCH", MERGE_PATCH)):
        reply = await api(method, f"{CLUSTER_ROLES}/everywhere", body, content_type=media)
        assert (reply.status, reply.tree) == (200, made.tree)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_collection_is_not_written_as_a_whole(api: Any, method: str) -> None:
    media = MERGE_PATCH if method == "PATCH" else "application/json"
    reply = await api(method, CONFIG_MAPS, config_map("x"), content_type=media)
    assert (reply.status, reply.tree["reason"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("labelSelector=a+in+(", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("labelSelector=a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("fieldSelector=a", "invalid selector: 'a'; can't understand 'a'"),
        (
            "fieldSelector=data.a=b",
            '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "resourceVersion=5&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4In0",
            "specifying resource version is not allowed when using continue",
        ),
    ],
)
async def test_lists_that_cannot_be_understood(api: Any, query: str, message: str) -> None:
    listed = await api("GET", f"{CONFIG_MAPS}?{query}")
    assert (listed.status, listed.message) == (400, message)
    deleted = await api("DELETE", f"{CONFIG_MAPS}?{query}")
    assert (deleted.status, deleted.message) == (400, message)


@pytest.mark.parametrize(
    ("patch", "media", "status"),
    [
        ({"a": 1}, JSON_PATCH, 400),
        ([{"op": "no such", "path": "/a"}], JSON_PATCH, 422),
        ([{"op": "test", "path": "/kind", "value": "x"}], JSON_PATCH, 422),
        ([{"op": "remove", "path": "/nothing"}], JSON_PATCH, 422),
        ([{"op": "add", "path": "/data", "value": 3}], JSON_PATCH, 422),
        ([{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10001, JSON_PATCH, 413),
        ([], MERGE_PATCH, 400),
        ({"kind": "Secret"}, MERGE_PATCH, 422),
        ({"data": 3}, MERGE_PATCH, 422),
        ({"metadata": {"uid": "other"}}, MERGE_PATCH, 409),
        ({"metadata": {"resourceVersion": "1"}}, MERGE_PATCH, 409),
        ({"$patch": "no such"}, "application/strategic-merge-patch+json", 500),
        ({}, "application/json", 415),
    ],
)
async def test_patches_that_cannot_be_applied(api: Any, patch: Any, media: str, status: int) -> None:
    await api("POST", CONFIG_MAPS, config_map("patched"))
    before = await api("GET", f"{CONFIG_MAPS}/patched")
    reply = await api("PATCH", f"{CONFIG_MAPS}/patched", json.dumps(patch).encode(), content_type=media)
    assert (reply.status, reply.tree["code"]) == (status, status), reply.body
    assert (await api("GET", f"{CONFIG_MAPS}/patched")).tree == before.tree


async def test_warnings_are_told_with_the_answer(api: Any) -> None:
    variables = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "env": variables}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "warned"}, "spec": spec}
    at = "/apis/apps/v1/namespaces/default/deployments"
    hidden = 'hides previous definition of \\"A\\", which may be dropped when using apply'
    told = f'299 - "spec.template.spec.containers[0].env[1]: {hidden}"'
    made = await api("POST", at, body)
    assert (made.status, made.headers["warning"]) == (201, told)
    scaled = await api("PATCH", f"{at}/warned", {"spec": {"replicas": 1}}, content_type="application/merge-patch+json")
    assert scaled.headers["warning"] == told
    labels = {"metadata": {"labels": {"x": "y"}}}
    assert (
        "warning"
        not in (await api("PATCH", f"{at}/warned", labels, content_type="application/merge-patch+json")).headers
    )
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}
    config = {"metadata": {"name": "owned", "ownerReferences": [owner, owner]}}
    kept = await api("POST", "/api/v1/namespaces/default/configmaps", config)
    assert len(kept.tree["metadata"]["ownerReferences"]) == 1
    assert "duplicate UID(s) observed: [1]" in kept.headers["warning"]
    for path in (f"{at}/warned", "/api/v1/namespaces/default/configmaps/owned"):
        await api("DELETE", path)


async def test_too_many_warnings_are_cut() -> None:
    few = responses.warnings(["a", "b", "a"])
    assert [value for _, value in few] == [b'299 - "a"', b'299 - "b"']
    many = responses.warnings(f"{number:03}" + "x" * 300 for number in range(50))
    assert (len(many), {len(value) for _, value in many}) == (16, {len('299 - ""') + 256})
