"""Custom resource definitions: life, status, lists, discovery; watches, defaults, conversions, selectors of objects."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.testing.raw_client import RawClient, RawWatch
from podkeeper.testing.review_server import ReviewServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON_PATCH = "application/json-patch+json"


async def test_a_definition_is_made_and_deleted(define: Any) -> None:
    made = await define()
    await made.delete()


async def test_definitions_are_listed_and_deleted_by_label(api: RawClient, define: Any) -> None:
    labelled = [await define(labels={"e2e-list-test-uuid": "u"}) for _ in range(10)]
    other = await define()
    listing = (await api("GET", f"{DEFINITIONS}?labelSelector=e2e-list-test-uuid%3Du")).tree["items"]
    specs = {each["metadata"]["name"]: each["spec"] for each in listing}
    assert specs == {each.name: each.tree["spec"] for each in labelled}
    assert (await api("DELETE", f"{DEFINITIONS}?labelSelector=e2e-list-test-uuid%3Du")).status == 200
    for each in labelled:
        await api.until(each.at, lambda reply: reply.status == 404)
    assert (await api("GET", other.at)).status == 200


async def test_the_status_of_a_definition_is_read_updated_and_patched(api: RawClient, define: Any) -> None:
    made = await define()
    found = (await api("GET", f"{made.at}/status")).tree
    assert found["spec"] == made.tree["spec"]
    found["status"]["conditions"].append({"type": "", "status": "", "message": "updated"})
    updated = await api("PUT", f"{made.at}/status", found)
    assert updated.status == 200, updated.body
    assert "updated" in {each.get("message") for each in updated.tree["status"]["conditions"]}
    steps = [{"op": "add", "path": "/status/conditions", "value": [{"message": "patched"}]}]
    patched = await api("PATCH", f"{made.at}/status", steps, content_type=JSON_PATCH)
    assert patched.status == 200, patched.body
    assert "patched" in {each.get("message") for each in patched.tree["status"]["conditions"]}


async def test_definitions_are_in_the_discovery_documents(api: RawClient) -> None:
    groups = {each["name"]: each for each in (await api("GET", "/apis")).tree["groups"]}
    alone = (await api("GET", "/apis/apiextensions.k8s.io")).tree
    for group in (groups["apiextensions.k8s.io"], alone):
        assert group["name"] == "apiextensions.k8s.io"
        assert "v1" in {each["version"] for each in group["versions"]}
    found = (await api("GET", "/apis/apiextensions.k8s.io/v1")).tree
    assert found["groupVersion"] == "apiextensions.k8s.io/v1"
    assert "customresourcedefinitions" in {each["name"] for each in found["resources"]}


async def test_watches_by_name_see_their_object_alone(api: RawClient, define: Any) -> None:
    names = {
        "plural": "noxus",
        "singular": "nonenglishnoxu",
        "kind": "WishIHadChosenNoxu",
        "listKind": "NoxuItemList",
        "shortNames": ["foo", "bar", "abc", "def"],
    }
    made = await define(names=names)
    path = made.path()
    watches = {}
    for name in ("name1", "name2"):
        query = f"watch=true&fieldSelector=metadata.name%3D{name}&timeoutSeconds=600"
        watches[name] = await api.watch(f"{path}?{query}")
    content = {"content": {"key": "value"}, "num": {"num1": 9223372036854775807, "num2": 1000000}}
    for name in watches:
        created = await api("POST", path, made.made(name, **content))
        assert created.status == 201, created.body
        assert created.tree["metadata"]["uid"]
        assert created.tree["num"]["num1"] == 9223372036854775807
        assert (created.tree["apiVersion"], created.tree["kind"]) == ("mygroup.example.com/v1beta1", names["kind"])
    for name in watches:
        steps = [{"op": "add", "path": "/dummy", "value": "test"}]
        assert (await api("PATCH", f"{path}/{name}", steps, content_type=JSON_PATCH)).status == 200
    for name in watches:
        assert (await api("DELETE", f"{path}/{name}")).status == 200
    for name, watch in watches.items():
        assert await watch.seen(3) == [("ADDED", name), ("MODIFIED", name), ("DELETED", name)]
        watch.close()


async def test_defaults_are_applied_to_requests_and_to_what_is_stored(
    api: RawClient, define: Any, make_version: Any
) -> None:
    string = {"type": "string"}
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    made = await define(make_version(schema=anything | {"properties": {"a": string, "b": string}}))
    path = made.path()
    assert (await api("POST", path, made.made("cr-1"))).status == 201
    of = "/spec/versions/0/schema/openAPIV3Schema/properties/{}/default".format
    await made.patch({"op": "add", "path": of("a"), "value": "A"})
    await api.until(f"{path}/cr-1", lambda reply: reply.tree.get("a") == "A")
    second = await api("POST", path, made.made("cr-2"))
    assert second.tree["a"] == "A"
    await made.patch({"op": "remove", "path": of("a")}, {"op": "add", "path": of("b"), "value": "B"})
    await api.until(f"{path}/cr-1", lambda reply: reply.tree.get("b") == "B")
    assert "a" not in (await api("GET", f"{path}/cr-1")).tree
    kept = (await api("GET", f"{path}/cr-2")).tree
    assert (kept["a"], kept["b"]) == ("A", "B")


def convert(request: Tree) -> Tree:
    """hostPort in v1 is host and port in v2."""
    done = []
    for tree in request["objects"]:
        tree = dict(tree, apiVersion=request["desiredAPIVersion"])
        if request["desiredAPIVersion"].endswith("/v2"):
            if "hostPort" in tree:
                tree["host"], _, tree["port"] = tree.pop("hostPort").partition(":")
        elif "host" in tree:
            tree["hostPort"] = f"{tree.pop('host')}:{tree.pop('port', '')}"
        done.append(tree)
    return {"result": {"status": "Success"}, "convertedObjects": done}


async def in_two_versions(define: Any, make_version: Any, hooks: ReviewServer, **selectable: Any) -> Any:
    string = {"type": "string"}
    versions = []
    for name, fields in (("v1", ["hostPort"]), ("v2", ["host", "port"])):
        schema = {"type": "object", "properties": dict.fromkeys(fields, string)}
        more = {"selectableFields": [{"jsonPath": f".{each}"} for each in fields]} if selectable else {}
        versions.append(make_version(name, schema, storage=name == "v1", **more))
    hooks.answers["/crdconvert"] = convert
    webhook = {"clientConfig": hooks.client("/crdconvert"), "conversionReviewVersions": ["v1", "v1beta1"]}
    conversion = {"strategy": "Webhook", "webhook": webhook}
    return await define(*versions, group="stable.example.com", scope="Namespaced", conversion=conversion)


async def test_an_object_is_converted_from_one_version_to_the_other(
    define: Any, make_version: Any, hooks: ReviewServer, api: RawClient, namespace: Any
) -> None:
    made, where = await in_two_versions(define, make_version, hooks), await namespace()
    created = await api("POST", made.path("v1", where), made.made("one", "v1", hostPort="localhost:8080"))
    assert created.status == 201, created.body
    shown = (await api("GET", f"{made.path('v2', where)}/one")).tree
    assert (shown["apiVersion"], shown["host"], shown["port"]) == ("stable.example.com/v2", "localhost", "8080")
    assert "hostPort" not in shown


async def test_a_list_of_objects_stored_in_both_versions_is_converted(
    define: Any, make_version: Any, hooks: ReviewServer, api: RawClient, namespace: Any
) -> None:
    made, where = await in_two_versions(define, make_version, hooks), await namespace()
    first = await api("POST", made.path("v1", where), made.made("one", "v1", hostPort="localhost:8080"))
    assert first.status == 201, first.body
    await made.patch(
        {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
    )
    second = await api("POST", made.path("v1", where), made.made("two", "v1", hostPort="localhost:8080"))
    assert second.status == 201, second.body
    for each in (await api("GET", made.path("v1", where))).tree["items"]:
        assert (each["apiVersion"], each["hostPort"], "host" in each) == ("stable.example.com/v1", "localhost:8080", 0)
    found = (await api("GET", made.path("v2", where))).tree["items"]
    assert len(found) == 2
    for each in found:
        assert (each["apiVersion"], each["host"], each["port"]) == ("stable.example.com/v2", "localhost", "8080")


async def test_lists_and_watches_match_field_selectors_of_their_version(
    define: Any, make_version: Any, hooks: ReviewServer, api: RawClient, namespace: Any
) -> None:
    made, where = await in_two_versions(define, make_version, hooks, selectable=True), await namespace()
    v1, v2 = made.path("v1", where), made.path("v2", where)

    async def watch(path: str, selector: str) -> RawWatch:
        return await api.watch(f"{path}?watch=true&fieldSelector={selector}")

    async def names(path: str, selector: str) -> set[str]:
        items = (await api("GET", f"{path}?fieldSelector={selector}")).tree["items"]
        return {each["metadata"]["name"] for each in items}

    host, host_port = await watch(v2, "host%3Dhost1"), await watch(v2, "host%3Dhost1,port%3D80")
    first = await watch(v1, "hostPort%3Dhost1:80")
    for name, content in (
        ("a", {"host": "host1", "port": "80"}),
        ("b", {"host": "host1", "port": "8080"}),
        ("c", {"host": "host2"}),
    ):
        created = await api("POST", v2, made.made(name, "v2", **content))
        assert created.status == 201, created.body
    assert await names(v2, "host%3Dhost1") == {"a", "b"}
    assert await names(v2, "host%3Dhost1,port%3D80") == {"a"}
    assert await names(v1, "hostPort%3Dhost1:80") == {"a"}
    assert await names(v1, "hostPort%3Dhost1:8080") == {"b"}
    assert await host.seen(2) == [("ADDED", "a"), ("ADDED", "b")]
    for each in (host_port, first):
        assert await each.seen(1) == [("ADDED", "a")]
    gone = await api("DELETE", f"{v2}?fieldSelector=host%3Dhost1,port%3D80", {"gracePeriodSeconds": 0})
    assert gone.status == 200, gone.body
    tree = (await api("GET", f"{v2}/b")).tree
    assert (await api("PUT", f"{v2}/b", tree | {"host": "host2"})).status == 200
    assert await names(v2, "host%3Dhost1") == set()
    assert await names(v2, "host%3Dhost1,port%3D80") == set()
    assert await host.seen(2) == [("DELETED", "a"), ("DELETED", "b")]
    for each in (host_port, first):
        assert await each.seen(1) == [("DELETED", "a")]
    for each in (host, host_port, first):
        each.close()
