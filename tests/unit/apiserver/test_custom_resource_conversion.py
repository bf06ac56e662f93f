"""Custom objects in versions that differ, converted by a webhook: a real server that speaks ConversionReview."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.testing.review_server import ReviewServer, running_review_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
V1, V2 = (f"/apis/conv.example.com/{each}/namespaces/default/doors" for each in ("v1", "v2"))
MERGE = "application/merge-patch+json"


def convert(tree: Tree, wanted: str) -> Tree:
    """v1 says ``spec.size: "2x3"``, v2 ``spec.width`` and ``spec.height``."""
    spec = dict(tree["spec"])
    if wanted.endswith("/v2"):
        width, _, height = spec.pop("size").partition("x")
        spec |= {"width": int(width), "height": int(height)}
    else:
        spec["size"] = f"{spec.pop('width')}x{spec.pop('height')}"
    metadata = tree["metadata"] | {"annotations": {"converted": wanted}, "uid": tree["metadata"].get("uid", "")}
    if not metadata["uid"]:
        del metadata["uid"]
    return tree | {"apiVersion": wanted, "spec": spec, "metadata": metadata}


class Webhook:
    """Answers reviews, by ``answer`` where it is set."""

    def __init__(self, server: ReviewServer) -> None:
        server.answers["/convert"] = self.respond
        server.answers["/admit"] = self.admitted
        self.client, self.admitting = server.client("/convert"), server.client("/admit")
        self.reviews: list[Tree] = []
        self.admissions: list[Tree] = []
        self.answer: Callable[[Tree], Tree] | None = None

    def respond(self, request: Tree) -> Tree:
        self.reviews.append(request)
        return (self.answer or self.converted)(request)

    def converted(self, request: Tree) -> Tree:
        found = [convert(each, request["desiredAPIVersion"]) for each in request["objects"]]
        return {"result": {"status": "Success"}, "convertedObjects": found}

    def admitted(self, request: Tree) -> Tree:
        """Counts in the object how often it was asked: never the same twice."""
        self.admissions.append(request)
        steps = [{"op": "add", "path": "/metadata/labels", "value": {"seen": f"seen-{len(self.admissions)}"}}]
        patch = base64.b64encode(json.dumps(steps).encode()).decode()
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def webhook(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Webhook]:
    async with running_review_server(tmp_path_factory.mktemp("webhook")) as server:
        yield Webhook(server)


def definition(webhook: Webhook) -> Tree:
    versions = []
    for name, properties in (
        ("v1", {"size": {"type": "string", "pattern": "^[0-9]+x[0-9]+$"}}),
        ("v2", {"width": {"type": "integer", "maximum": 9}, "height": {"type": "integer"}}),
    ):
        spec = {"type": "object", "properties": properties | {"open": {"type": "boolean", "default": False}}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        replicas = ".spec.width" if name == "v2" else ".spec.count"
        scale = {"specReplicasPath": replicas, "statusReplicasPath": ".status.replicas"}
        version = {"name": name, "served": True, "storage": name == "v1", "schema": schema}
        versions.append(version | {"subresources": {"scale": scale}})
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": webhook.client, "conversionReviewVersions": ["v9", "v1"]},
    }
    spec = {
        "group": "conv.example.com",
        "scope": "Namespaced",
        "names": {"plural": "doors", "kind": "Door"},
        "versions": versions,
        "conversion": conversion,
    }
    return {"metadata": {"name": "doors.conv.example.com"}, "spec": spec}


def door(version: str, name: str, **spec: Any) -> Tree:
    return {"apiVersion": f"conv.example.com/{version}", "kind": "Door", "metadata": {"name": name}, "spec": spec}


@pytest_asyncio.fixture(loop_scope="module")
async def doors(webhook: Webhook, api: Any) -> Webhook:
    webhook.answer = None
    if (await api("GET", f"{DEFINITIONS}/doors.conv.example.com")).status == 404:
        made = await api("POST", DEFINITIONS, definition(webhook))
        assert made.status == 201, made.body
    async with asyncio.timeout(10):
        while (await api("GET", V2)).status == 404:
            pass
    await api("DELETE", V1)
    webhook.reviews.clear()
    return webhook


async def test_reviews_must_be_of_a_version_that_is_spoken(api: Any, webhook: Webhook) -> None:
    unspoken = definition(webhook)
    unspoken["spec"]["conversion"]["webhook"]["conversionReviewVersions"] = ["v9"]
    refused = await api("POST", DEFINITIONS, unspoken)
    assert refused.message.endswith(
        'spec.conversion.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1'
    )


async def test_objects_are_shown_in_each_version(api: Any, doors: Webhook) -> None:
    assert (await api("POST", V1, door("v1", "a", size="2x3"))).status == 201
    assert doors.reviews == []
    shown = (await api("GET", f"{V2}/a")).tree
    assert (shown["apiVersion"], shown["spec"]) == ("conv.example.com/v2", {"width": 2, "height": 3, "open": False})
    assert shown["metadata"]["annotations"] == {"converted": "conv.example.com/v2"}
    first = (await api("GET", f"{V1}/a")).tree
    assert (first["spec"], first["metadata"].get("annotations")) == ({"size": "2x3", "open": False}, None)
    assert first["metadata"]["uid"] == shown["metadata"]["uid"]
    assert first["metadata"]["resourceVersion"] == shown["metadata"]["resourceVersion"]


async def test_objects_are_written_in_each_version(api: Any, doors: Webhook) -> None:
    made = await api("POST", V2, door("v2", "b", width=4, height=5))
    assert (made.status, made.tree["spec"]) == (201, {"width": 4, "height": 5, "open": False})
    assert (await api("GET", f"{V1}/b")).tree["spec"] == {"size": "4x5", "open": False}
    patched = await api("PATCH", f"{V2}/b", {"spec": {"width": 6}}, content_type=MERGE)
    assert (patched.status, patched.tree["spec"]["width"]) == (200, 6), patched.body
    assert (await api("GET", f"{V1}/b")).tree["spec"]["size"] == "6x5"
    tree = (await api("GET", f"{V2}/b")).tree
    tree["spec"]["height"] = 7
    put = await api("PUT", f"{V2}/b", tree)
    assert (put.status, put.tree["spec"]["height"]) == (200, 7), put.body
    assert (await api("GET", f"{V1}/b")).tree["metadata"]["generation"] == 3
    refused = await api("PATCH", f"{V2}/b", {"spec": {"width": 10}}, content_type=MERGE)
    assert refused.tree["details"]["causes"][0]["field"] == "spec.width"
    generated = door("v2", "", width=1, height=1)
    generated["metadata"] = {"generateName": "g-"}
    assert (await api("POST", V2, generated)).tree["metadata"]["name"].startswith("g-")
    gone = await api("DELETE", f"{V2}/b")
    assert gone.status == 200


async def test_configurations_are_applied_in_each_version(api: Any, doors: Webhook) -> None:
    async def apply(path: str, manager: str, tree: Tree) -> Any:
        where = f"{path}/applied?fieldManager={manager}"
        return await api("PATCH", where, json.dumps(tree).encode(), content_type="application/apply-patch+yaml")

    made = await apply(V2, "one", door("v2", "applied", width=1, height=2))
    assert (made.status, made.tree["spec"]["width"]) == (201, 1), made.body
    again = await apply(V2, "one", door("v2", "applied", width=1, height=3))
    assert (again.status, again.tree["spec"]["height"]) == (200, 3), again.body
    refused = await apply(V2, "two", door("v2", "applied", width=5))
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .spec.width'
    assert (await api("GET", f"{V1}/applied")).tree["spec"]["size"] == "1x3"


async def test_fields_are_managed_across_versions(api: Any, doors: Webhook) -> None:
    where = f"{V1}/managed?fieldManager=one"
    body = json.dumps(door("v1", "managed", size="1x2", open=True)).encode()
    await api("PATCH", where, body, content_type="application/apply-patch+yaml")
    body = json.dumps(door("v2", "managed", width=1, open=False)).encode()
    where = f"{V2}/managed?fieldManager=two"
    refused = await api("PATCH", where, body, content_type="application/apply-patch+yaml")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .spec.open'


async def test_the_scale_is_that_of_each_version(api: Any, doors: Webhook) -> None:
    await api("POST", V1, door("v1", "scaled", size="3x4"))
    assert (await api("GET", f"{V2}/scaled/scale")).tree["spec"] == {"replicas": 3}
    patched = await api("PATCH", f"{V2}/scaled/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
    assert (patched.status, patched.tree["spec"]) == (200, {"replicas": 5}), patched.body
    assert (await api("GET", f"{V1}/scaled")).tree["spec"]["size"] == "5x4"
    put = await api("PUT", f"{V2}/scaled/scale", patched.tree | {"spec": {"replicas": 6}})
    assert (put.status, put.tree["spec"]) == (200, {"replicas": 6}), put.body
    applied = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "scaled"}, "spec": {"replicas": 7}}
    at = f"{V2}/scaled/scale?fieldManager=scaler&force=true"
    reply = await api("PATCH", at, json.dumps(applied).encode(), content_type="application/apply-patch+yaml")
    assert reply.status == 200, reply.body
    assert (await api("GET", f"{V1}/scaled")).tree["spec"]["size"] == "7x4"


async def test_who_changes_objects_is_asked_once(api: Any, doors: Webhook) -> None:
    rule = {"operations": ["*"], "apiGroups": ["conv.example.com"], "apiVersions": ["v2"], "resources": ["doors"]}
    hook = {"name": "m.example.com", "clientConfig": doors.admitting, "rules": [rule], "sideEffects": "None"}
    hook |= {"admissionReviewVersions": ["v1"], "matchPolicy": "Equivalent"}
    at = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    made = await api("POST", at, {"metadata": {"name": "m"}, "webhooks": [hook]})
    assert made.status == 201, made.body
    try:
        doors.admissions.clear()
        for version, path, body in (("v2", V2, {"width": 1, "height": 1}), ("v1", V1, {"size": "1x1"})):
            made = await api("POST", path, door(version, f"asked-{version}", **body))
            assert (made.status, made.tree["metadata"]["labels"]) == (201, {"seen": f"seen-{len(doors.admissions)}"})
            assert doors.admissions[-1]["object"]["apiVersion"] == "conv.example.com/v2"
        assert len(doors.admissions) == 2
        patched = await api("PATCH", f"{V2}/asked-v1", {"spec": {"width": 2}}, content_type=MERGE)
        assert patched.tree["metadata"]["labels"] == {"seen": "seen-3"}, patched.body
        generated = door("v2", "", width=1, height=1) | {"metadata": {"generateName": "asked-"}}
        assert (await api("POST", V2, generated)).tree["metadata"]["labels"] == {"seen": "seen-4"}
        assert len(doors.admissions) == 4
    finally:
        await api("DELETE", f"{at}/m")


async def test_a_list_is_converted_in_one_go(api: Any, doors: Webhook) -> None:
    for number in range(5):
        await api("POST", V1, door("v1", f"l{number}", size=f"{number}x1"))
    listing = (await api("GET", V2)).tree
    assert [each["spec"]["width"] for each in listing["items"]] == [0, 1, 2, 3, 4]
    assert [len(each["objects"]) for each in doors.reviews] == [5]
    await api("GET", V2)
    assert len(doors.reviews) == 1


async def test_watches_see_their_version(api: Any, doors: Webhook) -> None:
    await api("POST", V1, door("v1", "w", size="1x1"))
    watch = asyncio.ensure_future(api("GET", f"{V2}?watch=true&timeoutSeconds=2"))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while not doors.reviews:
            await api("GET", f"{V1}/w")
    await api("PATCH", f"{V1}/w", {"spec": {"size": "8x8"}}, content_type=MERGE)
    await api("DELETE", f"{V1}/w")
    events = [json.loads(line) for line in (await watch).body.splitlines()]
    seen = [(each["type"], each["object"]["apiVersion"], each["object"]["spec"]["width"]) for each in events]
    version = "conv.example.com/v2"
    assert seen == [("ADDED", version, 1), ("MODIFIED", version, 8), ("DELETED", version, 8)]


def changing(**members: Any) -> Callable[[Tree], Tree]:
    """An answer whose objects have other members than they should."""

    def answer(request: Tree) -> Tree:
        converted = [convert(each, request["desiredAPIVersion"]) | members for each in request["objects"]]
        kept = [{name: value for name, value in each.items() if value is not None} for each in converted]
        return {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": kept}

    return answer


def changing_metadata(**members: Any) -> Callable[[Tree], Tree]:
    def answer(request: Tree) -> Tree:
        (tree,) = [convert(each, request["desiredAPIVersion"]) for each in request["objects"]]
        return changing(metadata=tree["metadata"] | members)(request)

    return answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            lambda request: {"uid": request["uid"], "result": {"status": "Failure", "message": "no such door"}},
            "failed: no such door",
        ),
        (
            lambda request: {"uid": request["uid"], "result": {"status": "Failed"}},
            "failed: response.result.status was 'Failed', not 'Success'",
        ),
        (lambda request: {"uid": "x", "result": {"status": "Success"}}, 'got "x"'),
        (
            lambda request: {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": []},
            "returned 0 objects, expected 1",
        ),
        (
            lambda request: {
                "uid": request["uid"],
                "result": {"status": "Success"},
                "convertedObjects": request["objects"],
            },
            "returned invalid object at index 0: invalid groupVersion (expected conv.example.com/v2, received "
            "conv.example.com/v1)",
        ),
        (changing(kind="Window"), "returned invalid object at index 0: invalid kind (expected Door, received Window)"),
        (changing(metadata=None), "returned invalid object: must have the same name: broken-"),
        (changing_metadata(uid="other"), "returned invalid object: must have the same UID: "),
        (
            changing_metadata(labels={"a": 1}),
            "returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object",
        ),
        (
            changing_metadata(labels={"a b": "c"}),
            'returned invalid metadata: metadata.labels: Invalid value: "a b": name part must consist of',
        ),
        (
            changing_metadata(annotations=[]),
            "returned invalid metadata: invalid metadata.annotations of type []interface {} in converted object",
        ),
    ],
)
async def test_answers_that_break_the_rules(api: Any, doors: Webhook, answer: Any, says: str) -> None:
    name = f"broken-{hashlib.md5(says.encode()).hexdigest()}"  # what is known of an object is not asked for again
    await api("POST", V1, door("v1", name, size="3x3"))
    doors.answer = answer
    refused = await api("GET", f"{V2}/{name}")
    assert refused.status == 500
    assert refused.message.startswith("conversion webhook for conv.example.com/v1, Kind=Door ")
    assert says in refused.message
    assert (await api("GET", f"{V1}/{name}")).status == 200
    assert (await api("GET", V2)).status == 500
    doors.answer = None
    assert (await api("GET", f"{V2}/{name}")).status == 200


async def test_objects_move_to_a_new_storage_version(api: Any, doors: Webhook) -> None:
    await api("POST", V1, door("v1", "moving", size="3x4"))
    at = f"{DEFINITIONS}/doors.conv.example.com"
    moved = [
        {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
    ]
    patched = await api("PATCH", at, moved, content_type="application/json-patch+json")
    assert patched.tree["status"]["storedVersions"] == ["v1", "v2"]
    await api("POST", V2, door("v2", "new", width=5, height=5))
    assert (await api("GET", f"{V2}/moving")).tree["spec"]["width"] == 3
    tree = (await api("GET", f"{V2}/moving")).tree
    assert (await api("PUT", f"{V2}/moving", tree)).status == 200
    assert (await api("GET", f"{V1}/moving")).tree["spec"]["size"] == "3x4"
    sizes = {each["metadata"]["name"]: each["spec"]["size"] for each in (await api("GET", V1)).tree["items"]}
    assert sizes == {"moving": "3x4", "new": "5x5"}


async def test_a_definition_goes_without_its_webhook(api: Any, doors: Webhook) -> None:
    at = f"{DEFINITIONS}/doors.conv.example.com"
    stored = next(each["name"] for each in (await api("GET", at)).tree["spec"]["versions"] if each["storage"])
    path, body = (V1, {"size": "1x1"}) if stored == "v1" else (V2, {"width": 1, "height": 1})
    assert (await api("POST", path, door(stored, "last", **body))).status == 201
    doors.answer = lambda request: {"uid": request["uid"], "result": {"status": "Failure", "message": "down"}}
    assert (await api("DELETE", at)).status == 200
    async with asyncio.timeout(10):
        while (await api("GET", at)).status != 404:
            pass
