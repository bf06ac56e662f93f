"""Custom resources over HTTPS: from the definition to the last object."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio
import yaml

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def definition(plural: str, kind: str, **more: Any) -> Tree:
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
            "ports": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
                },
            },
        },
    }
    status = {"type": "object", "properties": {"ready": {"type": "boolean"}, "size": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    names = {"plural": plural, "kind": kind, "shortNames": [plural[:2]], "categories": ["all"]}
    body = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version | more]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": body,
    }


async def served(api: Any, plural: str, version: str = "v1") -> str:
    """The path of a resource's objects, when it is served."""
    path = f"/apis/example.com/{version}/namespaces/default/{plural}"
    async with asyncio.timeout(10):
        while (await api("GET", path)).status != 200:
            pass
    return path


async def gone(api: Any, path: str) -> None:
    async with asyncio.timeout(10):
        while (await api("GET", path)).status != 404:
            pass


def widget(name: str, **spec: Any) -> Tree:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def widgets(api: Any) -> str:
    await api("POST", DEFINITIONS, definition("widgets", "Widget"))
    return await served(api, "widgets")


async def test_a_definition_is_established_and_discovered(api: Any, widgets: str) -> None:
    found = (await api("GET", f"{DEFINITIONS}/widgets.example.com")).tree
    conditions = {each["type"]: (each["status"], each["reason"]) for each in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": ("True", "NoConflicts"), "Established": ("True", "InitialNamesAccepted")}
    assert found["status"]["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wi"],
        "categories": ["all"],
    }
    groups = (await api("GET", "/apis")).tree["groups"]
    assert "example.com" in {each["name"] for each in groups}
    rows = {each["name"]: each for each in (await api("GET", "/apis/example.com/v1")).tree["resources"]}
    assert rows.keys() >= {"widgets", "widgets/status", "widgets/scale"}
    assert (rows["widgets"]["shortNames"], rows["widgets/scale"]["kind"]) == (["wi"], "Scale")


async def test_objects_are_pruned_defaulted_and_kept(api: Any, widgets: str) -> None:
    made = await api("POST", widgets, widget("a", size=1, unknown=True) | {"status": {"ready": True}})
    assert made.status == 201, made.body
    assert made.headers["warning"] == '299 - "unknown field \\"spec.unknown\\""'
    assert (made.tree["spec"], made.tree.get("status")) == ({"size": 1, "color": "red"}, None)
    assert made.tree["metadata"]["generation"] == 1
    assert (await api("GET", f"{widgets}/a")).tree == made.tree
    listing = (await api("GET", widgets)).tree
    assert (listing["kind"], listing["apiVersion"]) == ("WidgetList", "example.com/v1")
    assert made.tree in listing["items"]


async def test_strict_validation_names_the_unknown_field(api: Any, widgets: str) -> None:
    refused = await api("POST", f"{widgets}?fieldValidation=Strict", widget("strict", size=1, unknown=True))
    assert refused.status == 400
    assert 'strict decoding error: unknown field "spec.unknown"' in refused.message


async def test_the_schema_judges(api: Any, widgets: str) -> None:
    refused = await api("POST", widgets, widget("bad", size="big", color="green"))
    assert (refused.status, refused.tree["reason"]) == (422, "Invalid")
    assert refused.message.startswith('Widget.example.com "bad" is invalid: ')
    causes = {each["field"]: each["message"] for each in refused.tree["details"]["causes"]}
    assert causes == {
        "spec.size": 'Invalid value: "string": spec.size in body must be of type integer: "string"',
        "spec.color": 'Unsupported value: "green": supported values: "red", "blue"',
    }
    assert (await api("POST", widgets, widget("bad"))).tree["details"]["causes"][0]["field"] == "spec.size"


async def test_changes_count_as_generations_and_status_apart(api: Any, widgets: str) -> None:
    await api("POST", widgets, widget("changed", size=1))
    path = f"{widgets}/changed"
    changed = await api("PATCH", path, {"spec": {"size": 2}, "status": {"ready": True}}, content_type=MERGE)
    assert (changed.tree["metadata"]["generation"], changed.tree.get("status")) == (2, None)
    status = await api("PATCH", f"{path}/status", {"spec": {"size": 3}, "status": {"ready": True}}, content_type=MERGE)
    assert (status.tree["spec"]["size"], status.tree["status"]) == (2, {"ready": True})
    assert status.tree["metadata"]["generation"] == 2
    strategic = await api("PATCH", path, {}, content_type="application/strategic-merge-patch+json")
    assert strategic.status == 415
    stale = await api("PUT", path, changed.tree)
    assert (stale.status, stale.tree["reason"]) == (409, "Conflict")


async def test_scale_follows_its_paths(api: Any, widgets: str) -> None:
    await api("POST", widgets, widget("scaled", size=1))
    scaled = await api("PATCH", f"{widgets}/scaled/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
    assert (scaled.tree["kind"], scaled.tree["spec"]["replicas"]) == ("Scale", 5)
    assert (await api("GET", f"{widgets}/scaled")).tree["spec"]["size"] == 5


async def test_configurations_are_applied_by_the_schema(api: Any, widgets: str) -> None:
    async def apply(manager: str, tree: Tree) -> Any:
        body = yaml.safe_dump(tree).encode()
        return await api("PATCH", f"{widgets}/applied?fieldManager={manager}", body, content_type=APPLY)

    one = await apply("one", widget("applied", size=1, ports=[{"name": "a", "port": 1}]))
    assert one.status == 201
    two = await apply("two", widget("applied", size=1, ports=[{"name": "b", "port": 2}]))
    assert [each["name"] for each in two.tree["spec"]["ports"]] == ["a", "b"]
    refused = await apply("two", widget("applied", size=2))
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .spec.size'


async def test_fields_select_and_columns_show(api: Any, widgets: str) -> None:
    await api("POST", widgets, widget("blue", size=7, color="blue"))
    chosen = (await api("GET", f"{widgets}?fieldSelector=spec.color%3Dblue")).tree["items"]
    assert [each["metadata"]["name"] for each in chosen] == ["blue"]
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = (await api("GET", f"{widgets}/blue", accept=accept)).tree
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Size"]
    assert table["rows"][0]["cells"] == ["blue", 7]


async def test_a_changed_schema_shows_in_what_was_stored(api: Any) -> None:
    made = definition("growths", "Growth")
    await api("POST", DEFINITIONS, made)
    path = await served(api, "growths")
    await api("POST", path, widget("old", size=1) | {"kind": "Growth"})
    properties = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["added"] = {"type": "string", "default": "new"}
    patched = await api("PATCH", f"{DEFINITIONS}/growths.example.com", {"spec": made["spec"]}, content_type=MERGE)
    assert patched.status == 200, patched.body
    async with asyncio.timeout(10):
        while (await api("GET", f"{path}/old")).tree["spec"].get("added") != "new":
            pass


async def test_versions_show_one_object(api: Any) -> None:
    made = definition("doubles", "Double")
    second = made["spec"]["versions"][0] | {"name": "v2", "storage": False, "deprecated": True}
    made["spec"]["versions"].append(second)
    await api("POST", DEFINITIONS, made)
    first_path, second_path = await served(api, "doubles"), await served(api, "doubles", "v2")
    made = await api("POST", second_path, widget("x", size=1) | {"apiVersion": "example.com/v2", "kind": "Double"})
    assert (made.status, made.tree["apiVersion"]) == (201, "example.com/v2")
    assert made.headers["warning"] == '299 - "example.com/v2 Double is deprecated"'
    shown = (await api("GET", f"{first_path}/x")).tree
    assert (shown["apiVersion"], shown["metadata"]["uid"]) == ("example.com/v1", made.tree["metadata"]["uid"])


async def test_a_name_belongs_to_whom_it_was_given_first(api: Any, widgets: str) -> None:
    rival = definition("rivals", "Widget")
    await api("POST", DEFINITIONS, rival)
    async with asyncio.timeout(10):
        while not (found := (await api("GET", f"{DEFINITIONS}/rivals.example.com")).tree)["status"].get("conditions"):
            pass
    conditions = {each["type"]: (each["status"], each["reason"]) for each in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": ("False", "ListKindConflict"), "Established": ("False", "NotAccepted")}
    assert (await api("GET", "/apis/example.com/v1/rivals")).status == 404
    await api("DELETE", f"{DEFINITIONS}/rivals.example.com")
    await gone(api, f"{DEFINITIONS}/rivals.example.com")


async def test_rules_judge_objects_and_changes(api: Any) -> None:
    made = definition("ruled", "Ruled")
    spec = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rules = [
        {"rule": "self.size < 9", "messageExpression": "'not %d'.format([self.size])", "fieldPath": ".size"},
        {"rule": "self.size >= oldSelf.size", "message": "it only grows", "reason": "FieldValueForbidden"},
    ]
    spec["x-kubernetes-validations"] = [{"rule": "self.sise < 9"}]
    refused = await api("POST", DEFINITIONS, made)
    assert "compilation failed: ERROR: <input>:1:5: undefined field 'sise'" in refused.message
    spec["x-kubernetes-validations"] = rules
    assert (await api("POST", DEFINITIONS, made)).status == 201
    path = await served(api, "ruled")
    big = await api("POST", path, widget("big", size=9) | {"kind": "Ruled"})
    assert big.message == 'Ruled.example.com "big" is invalid: spec.size: Invalid value: "object": not 9'
    unchecked = await api("POST", path, widget("big", size="9") | {"kind": "Ruled"})
    assert "some validation rules were not checked because the object was invalid" in unchecked.message
    assert (await api("POST", path, widget("good", size=3) | {"kind": "Ruled"})).status == 201
    shrunk = await api("PATCH", f"{path}/good", {"spec": {"size": 2}}, content_type=MERGE)
    assert shrunk.message == 'Ruled.example.com "good" is invalid: spec: Forbidden: it only grows'
    assert (await api("PATCH", f"{path}/good", {"spec": {"size": 4}}, content_type=MERGE)).status == 200


async def test_the_objects_go_before_their_definition(api: Any) -> None:
    await api("POST", DEFINITIONS, definition("leavers", "Leaver"))
    path = await served(api, "leavers")
    held = widget("held", size=1) | {"kind": "Leaver"}
    held["metadata"] = {"name": "held", "finalizers": ["example.com/held"]}
    await api("POST", path, held)
    marked = await api("DELETE", f"{DEFINITIONS}/leavers.example.com")
    assert marked.status == 200, marked.body
    async with asyncio.timeout(10):
        while True:
            status = (await api("GET", f"{DEFINITIONS}/leavers.example.com")).tree["status"]
            [said] = [each for each in status["conditions"] if each["type"] == "Terminating"]
            if said["reason"] == "InstanceDeletionInProgress":
                break
    assert (said["status"], said["message"]) == ("True", "CustomResource deletion is in progress")
    refused = await api("POST", path, widget("late", size=1) | {"kind": "Leaver"})
    assert refused.status in (405, 201)
    await api("PATCH", f"{path}/held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    await gone(api, f"{DEFINITIONS}/leavers.example.com")
    await gone(api, path)


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (
            {"kind": None},
            400,
            "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in "
            '\'{"apiVersion":"example.com/v1"}\' ({"apiVersion":"example.com/v1" ...)',
        ),
        (
            {"apiVersion": None},
            400,
            "the API version in the data () does not match the expected API version (example.com/v1)",
        ),
        (
            {"apiVersion": "example.com/v9"},
            400,
            "the API version in the data (example.com/v9) does not match the expected API version (example.com/v1)",
        ),
        ({"kind": "Gadget"}, 422, 'Widget.example.com "" is invalid: kind: Invalid value: "Gadget": must be Widget'),
        (
            {"metadata": {"name": 1, "labels": {"a": 1}}},
            400,
            'Widget in version "v1" cannot be handled as a Widget: json: cannot unmarshal number into Go struct field '
            "ObjectMeta.labels of type string",
        ),
        (
            {"metadata": []},
            400,
            'Widget in version "v1" cannot be handled as a Widget: json: cannot unmarshal array into Go value of type '
            "v1.ObjectMeta",
        ),
    ],
)
async def test_bodies_that_are_no_widget(api: Any, widgets: str, given: Tree, status: int, message: str) -> None:
    tree = {"apiVersion": "example.com/v1", "kind": "Widget"} | given
    body = json.dumps({name: value for name, value in tree.items() if value is not None}, separators=(",", ":"))
    reply = await api("POST", widgets, body.encode())
    assert (reply.status, reply.message) == (status, message)


async def test_a_patch_does_not_make_another_kind_of_a_widget(api: Any, widgets: str) -> None:
    await api("POST", widgets, widget("kindly", size=1))
    merge = "application/merge-patch+json"
    reply = await api("PATCH", f"{widgets}/kindly", {"kind": "Gadget"}, content_type=merge)
    assert (reply.status, reply.message) == (
        422,
        'Widget.example.com "kindly" is invalid: kind: Invalid value: "Gadget": must be Widget',
    )
    typed = await api("PATCH", f"{widgets}/kindly", {"metadata": {"labels": {"a": 1}}}, content_type=merge)
    assert (typed.status, typed.tree["details"]["causes"][0]["field"]) == (422, "patch")
    assert typed.message.endswith("json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string")
