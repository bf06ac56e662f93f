"""What definitions mean for their objects: nulls, versions, columns, selectors, generations, rights and quotas."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def version(properties: Tree | None = None, name: str = "v1", storage: bool = True, **more: Any) -> Tree:
    spec = {"type": "object", "properties": properties or {}}
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"} | _ANY}}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}} | more


_ANY = {"x-kubernetes-preserve-unknown-fields": True}
STRING = {"type": "string"}


def definition(plural: str, *versions: Tree, **more: Any) -> Tree:
    names = {"plural": plural, "kind": plural.capitalize(), "listKind": f"{plural.capitalize()}List"}
    spec = {"group": "sem.example.com", "scope": "Namespaced", "names": names, "versions": list(versions)} | more
    return {"metadata": {"name": f"{plural}.sem.example.com"}, "spec": spec}


async def until(holds: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(10):
        while not (found := await holds()):
            pass
    return found


async def define(api: Any, plural: str, *versions: Tree, **more: Any) -> str:
    """Makes a definition and returns the path of its objects once they are served."""
    made = await api("POST", DEFINITIONS, definition(plural, *versions, **more))
    assert made.status == 201, made.body
    path = f"/apis/sem.example.com/{versions[0]['name']}/namespaces/default/{plural}"

    async def served() -> bool:
        return (await api("GET", path)).status == 200

    await until(served)
    return path


def thing(path: str, name: str, **spec: Any) -> Tree:
    _, _, group, version, _, _, plural = path.split("/")
    return {"apiVersion": f"{group}/{version}", "kind": plural.capitalize(), "metadata": {"name": name}, "spec": spec}


async def make(api: Any, path: str, name: str, **spec: Any) -> Any:
    return await api("POST", path, thing(path, name, **spec))


async def test_nulls_stay_where_they_may_and_give_way_to_defaults(api: Any) -> None:
    properties = {
        "nullable": STRING | {"nullable": True},
        "both": STRING | {"nullable": True, "default": "x"},
        "defaulted": STRING | {"default": "x"},
        "plain": STRING,
        "list": {"type": "array", "items": STRING | {"nullable": True}},
    }
    path = await define(api, "nulls", version(properties))
    made = await make(api, path, "a", nullable=None, both=None, defaulted=None, plain=None, list=["a", None])
    assert made.status == 201, made.body
    assert made.tree["spec"] == {"nullable": None, "both": None, "defaulted": "x", "list": ["a", None]}
    assert (await api("GET", f"{path}/a")).tree["spec"] == made.tree["spec"]


async def test_embedded_objects_have_what_objects_have(api: Any) -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True} | _ANY
    path = await define(api, "embeds", version({"inner": inner}))
    refused = await make(api, path, "bad", inner={"metadata": {"name": "x"}})
    assert {each["field"]: each["message"] for each in refused.tree["details"]["causes"]} == {
        "spec.inner.apiVersion": "Required value: must not be empty",
        "spec.inner.kind": "Required value: must not be empty",
    }
    good = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "odd": 1}, "spec": {"any": 1}}
    made = await make(api, path, "good", inner=good)
    assert made.tree["spec"]["inner"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"any": 1},
    }


async def test_numbers_or_strings(api: Any) -> None:
    path = await define(api, "ports", version({"port": {"x-kubernetes-int-or-string": True}}))
    assert (await make(api, path, "a", port=80)).tree["spec"] == {"port": 80}
    assert (await make(api, path, "b", port="http")).tree["spec"] == {"port": "http"}
    refused = await make(api, path, "c", port=True)
    assert refused.tree["details"]["causes"][0]["message"] == (
        'Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'
    )


async def test_each_version_has_its_schema_and_stored_ones_are_remembered(api: Any) -> None:
    first = version({"old": STRING, "kept": STRING})
    second = version({"kept": STRING, "new": STRING | {"default": "d"}}, name="v2", storage=False)
    path = await define(api, "many", first, second)
    await make(api, path, "a", old="1", kept="2")
    shown = (await api("GET", f"{path.replace('/v1/', '/v2/')}/a")).tree
    assert (shown["apiVersion"], shown["spec"]) == (
        "sem.example.com/v2",
        {"kept": "2"},
    )  # defaults are the stored one's
    at = f"{DEFINITIONS}/many.sem.example.com"
    moved = [
        {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
    ]
    patched = await api("PATCH", at, moved, content_type=JSON_PATCH)
    assert patched.tree["status"]["storedVersions"] == ["v1", "v2"]
    refused = await api("PATCH", at, [{"op": "remove", "path": "/spec/versions/0"}], content_type=JSON_PATCH)
    assert refused.message.endswith(
        'is invalid: status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a '
        "storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted "
        "in v1 and removes v1 from status.storedVersions"
    )
    status = await api("PATCH", f"{at}/status", {"status": {"storedVersions": ["v2"]}}, content_type=MERGE)
    assert status.tree["status"]["storedVersions"] == ["v2"]
    gone = await api("PATCH", at, [{"op": "remove", "path": "/spec/versions/0"}], content_type=JSON_PATCH)
    assert gone.status == 200, gone.body

    async def is_gone() -> bool:
        return (await api("GET", path)).status == 404

    await until(is_gone)
    assert (await api("GET", f"{path.replace('/v1/', '/v2/')}/a")).tree["spec"] == {"kept": "2", "new": "d"}


async def test_defaults_are_those_of_the_version_that_is_written_or_stored(api: Any) -> None:
    first = version({"one": STRING | {"default": "1"}, "mine": STRING})
    second = version({"one": STRING, "two": STRING | {"default": "2"}}, name="v2", storage=False)
    path = await define(api, "sides", first, second)
    other = path.replace("/v1/", "/v2/")
    made = await make(api, other, "a")
    assert made.tree["spec"] == {"one": "1"}  # v1, which is stored, has no place for "two"
    assert (await api("GET", f"{path}/a")).tree["spec"] == {"one": "1"}
    patched = await api("PATCH", f"{path}/a", {"spec": {"mine": "x"}}, content_type=MERGE)
    assert patched.tree["spec"] == {"one": "1", "mine": "x"}
    assert (await api("GET", f"{other}/a")).tree["spec"] == {"one": "1"}


async def test_the_order_of_fields_is_no_change(api: Any) -> None:
    path = await define(api, "orders", version({"a": STRING, "b": STRING | {"default": "d"}, "c": STRING}))
    made = (await make(api, path, "x", c="3", a="1")).tree
    reordered = made | {"spec": {"b": "d", "c": "3", "a": "1"}}
    put = await api("PUT", f"{path}/x", dict(reversed(reordered.items())))
    assert put.tree["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_manager_keeps_its_fields_when_another_version_is_written(api: Any) -> None:
    path = await define(
        api, "owned", version({"a": STRING, "b": STRING}), version({"a": STRING, "b": STRING}, "v2", False)
    )
    other = path.replace("/v1/", "/v2/")

    async def apply(where: str, manager: str, **spec: Any) -> Any:
        body = json.dumps(thing(where, "x", **spec)).encode()
        at = f"{where}/x?fieldManager={manager}"
        return await api("PATCH", at, body, content_type="application/apply-patch+yaml")

    await apply(path, "one", a="1", b="1")
    refused = await apply(other, "two", a="2")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .spec.a'
    assert (await apply(other, "one", a="1")).tree["spec"] == {"a": "1"}


async def test_a_root_may_keep_everything(api: Any) -> None:
    kept = version() | {"schema": {"openAPIV3Schema": {"type": "object"} | _ANY}}
    path = await define(api, "keepers", kept)
    body = thing(path, "a", x=1) | {"top": {"y": [None, {"z": None}]}}
    made = await api("POST", path, body)
    assert (made.tree["spec"], made.tree["top"]) == ({"x": 1}, {"y": [None, {"z": None}]})
    assert "warning" not in made.headers


async def test_columns_of_every_type(api: Any) -> None:
    columns = [
        {"name": name, "type": kind, "jsonPath": f".spec.{name.lower()}"}
        for name, kind in (("B", "boolean"), ("D", "date"), ("I", "integer"), ("N", "number"), ("S", "string"))
    ]
    properties = {"b": {"type": "boolean"}, "d": STRING, "i": {"type": "integer"}, "n": {"type": "number"}, "s": STRING}
    path = await define(api, "tables", version(properties, additionalPrinterColumns=columns))
    await make(api, path, "full", b=True, d="2020-01-01T00:00:00Z", i=7, n=1.5, s="x")
    await make(api, path, "none")
    table = (await api("GET", path, accept=TABLE)).tree
    assert [(each["name"], each["type"]) for each in table["columnDefinitions"]] == [
        ("Name", "string"),
        ("B", "boolean"),
        ("D", "date"),
        ("I", "integer"),
        ("N", "number"),
        ("S", "string"),
    ]
    full, none = (row["cells"] for row in table["rows"])
    assert [full[1], *full[3:]] == [True, 7, 1.5, "x"]
    assert "y" in full[2]
    assert none == ["none", None, None, None, None, None]


async def test_selectable_fields_are_simple_fields_of_the_schema(api: Any) -> None:
    fields = [{"jsonPath": path} for path in (".spec.nothing", ".spec.list", ".metadata.name", "spec.a")]
    properties = {"a": STRING, "list": {"type": "array", "items": STRING}}
    refused = await api("POST", DEFINITIONS, definition("chosen", version(properties, selectableFields=fields)))
    at = "spec.selectableFields"
    told = [(each["field"], each["message"].partition(": ")[2]) for each in refused.tree["details"]["causes"]]
    assert told == [
        (f"{at}[0].jsonPath", '".spec.nothing": is an invalid path: does not refer to a valid field'),
        (
            f"{at}[1].jsonPath",
            '".spec.list": must point to a field of type string, boolean or integer. Enum string fields and strings '
            "with formats are allowed.",
        ),
        (f"{at}[2].jsonPath", '".metadata.name": is an invalid path: does not refer to a valid field'),
        (f"{at}[3].jsonPath", '"spec.a": is an invalid path: expected [ or . but got: spec'),
    ]


async def test_selectors_take_strings_numbers_and_booleans(api: Any) -> None:
    properties = {"s": STRING, "i": {"type": "integer"}, "b": {"type": "boolean"}}
    fields = [{"jsonPath": f".spec.{name}"} for name in properties]
    path = await define(api, "selects", version(properties, selectableFields=fields))
    await make(api, path, "a", s="x", i=1, b=True)
    await make(api, path, "b", s="y", i=2)

    async def names(selector: str) -> list[str]:
        found = await api("GET", f"{path}?fieldSelector={selector}")
        return [each["metadata"]["name"] for each in found.tree["items"]]

    assert await names("spec.s%3Dx") == ["a"]
    assert await names("spec.i%3D2") == ["b"]
    assert await names("spec.b%3Dtrue") == ["a"]
    assert await names("spec.b!%3Dtrue,metadata.name%3Db") == ["b"]
    refused = await api("GET", f"{path}?fieldSelector=spec.z%3D1")
    assert (refused.status, refused.message) == (400, "field label not supported: spec.z")


async def test_each_version_has_its_own_selectable_fields(api: Any) -> None:
    one = version({"a": STRING}, selectableFields=[{"jsonPath": ".spec.a"}])
    two = version({"a": {"type": "integer"}, "b": STRING}, "v2", False, selectableFields=[{"jsonPath": ".spec.b"}])
    path = await define(api, "apart", one, two)
    await make(api, path, "a", a="x")
    second = path.replace("/v1/", "/v2/")
    refused = await api("GET", f"{second}?fieldSelector=spec.a%3Dx")
    assert (refused.status, refused.message) == (400, "field label not supported: spec.a")
    assert (await api("GET", f"{second}?fieldSelector=spec.b%3Dx")).tree["items"] == []


async def test_selectors_see_defaults_that_came_later(api: Any) -> None:
    path = await define(api, "late", version({"nodeName": STRING}, selectableFields=[{"jsonPath": ".spec.nodeName"}]))
    await make(api, path, "old")
    steps = [
        {
            "op": "add",
            "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/nodeName/default",
            "value": "x",
        }
    ]
    await api("PATCH", f"{DEFINITIONS}/late.sem.example.com", steps, content_type=JSON_PATCH)

    async def names(selector: str) -> list[str]:
        found = await api("GET", f"{path}?fieldSelector={selector}")
        return [each["metadata"]["name"] for each in found.tree["items"]]

    async def defaulted() -> bool:
        return await names("spec.nodeName%3Dx") == ["old"]

    await until(defaulted)
    assert await names("spec.nodeName%3D") == []
    watch = await api.watch(f"{path}?watch=true&fieldSelector=spec.nodeName%3Dx")
    await api("PATCH", f"{path}/old", {"spec": {"nodeName": "y"}}, content_type=MERGE)
    assert await watch.seen(2) == [("ADDED", "old"), ("DELETED", "old")]
    watch.close()


async def test_without_a_status_subresource_the_status_is_content(api: Any) -> None:
    path = await define(api, "whole", version({"a": STRING}))
    made = await api("POST", path, thing(path, "a", a="1") | {"status": {"x": 1}})
    assert made.tree["status"] == {"x": 1}
    changed = await api("PATCH", f"{path}/a", {"status": {"x": 2}}, content_type=MERGE)
    assert (changed.tree["status"], changed.tree["metadata"]["generation"]) == ({"x": 2}, 2)
    labelled = await api("PATCH", f"{path}/a", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert labelled.tree["metadata"]["generation"] == 2
    assert (await api("GET", f"{path}/a/status")).status == 404
    assert (await api("GET", f"{path}/a/scale")).status == 404


async def test_metadata_does_not_change_through_the_status(api: Any) -> None:
    path = await define(api, "stated", version({"a": STRING}, subresources={"status": {}}))
    await make(api, path, "a", a="1")
    patch = {"metadata": {"labels": {"a": "b"}, "finalizers": ["x.com/y"]}, "status": {"x": 1}}
    changed = await api("PATCH", f"{path}/a/status", patch, content_type=MERGE)
    assert changed.status == 200, changed.body
    assert (changed.tree["status"], changed.tree["metadata"].get("labels")) == ({"x": 1}, None)
    assert "finalizers" not in changed.tree["metadata"]


async def test_protobuf_is_not_spoken(api: Any) -> None:
    path = await define(api, "spoken", version({"a": STRING}))
    protobuf = "application/vnd.kubernetes.protobuf"
    both = await api("GET", path, accept=f"{protobuf},application/json")
    assert (both.status, both.headers["content-type"]) == (200, "application/json")
    refused = await api("GET", path, accept=protobuf)
    assert refused.status == 406
    sent = await api("POST", path, b"k8s\x00rubbish", content_type=protobuf)
    assert sent.status == 415


async def test_a_name_is_free_when_its_owner_goes(api: Any) -> None:
    await define(api, "owners", version())
    rival = definition("rivals", version())
    rival["spec"]["names"]["shortNames"] = ["owners"]
    await api("POST", DEFINITIONS, rival)
    at = f"{DEFINITIONS}/rivals.sem.example.com"

    def conditions(tree: Tree) -> dict[str, str]:
        return {each["type"]: each["status"] for each in (tree.get("status") or {}).get("conditions") or ()}

    async def refused() -> bool:
        return conditions((await api("GET", at)).tree).get("NamesAccepted") == "False"

    async def accepted() -> bool:
        return conditions((await api("GET", at)).tree) == {"NamesAccepted": "True", "Established": "True"}

    await until(refused)
    await api("DELETE", f"{DEFINITIONS}/owners.sem.example.com")
    await until(accepted)


async def test_watches_end_when_their_definition_changes_or_goes(api: Any) -> None:
    path = await define(api, "seen", version({"a": STRING}))

    async def watched() -> bytes:
        return (await api("GET", f"{path}?watch=true&timeoutSeconds=30")).body

    for change in ("PATCH", "DELETE"):
        watch = asyncio.ensure_future(watched())
        await make(api, path, f"a-{change.lower()}")
        patch = [{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/description", "value": "x"}]
        more = {"content_type": JSON_PATCH} if change == "PATCH" else {}
        body = patch if change == "PATCH" else None
        assert (await api(change, f"{DEFINITIONS}/seen.sem.example.com", body, **more)).status == 200
        async with asyncio.timeout(10):
            await watch

    async def is_gone() -> bool:
        return (await api("GET", path)).status == 404

    await until(is_gone)


async def test_discovery_changes_with_the_definitions(api: Any) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    before = await api("GET", "/apis", accept=accept)
    path = await define(api, "found", version({"a": STRING}, subresources={"status": {}}))
    after = await api("GET", "/apis", accept=accept)
    assert before.headers["etag"] != after.headers["etag"]
    group = next(each for each in after.tree["items"] if each["metadata"]["name"] == "sem.example.com")
    first = next(each for each in group["versions"] if each["version"] == "v1")
    row = next(each for each in first["resources"] if each["resource"] == "found")
    assert (row["responseKind"]["kind"], row["scope"]) == ("Found", "Namespaced")
    assert [each["subresource"] for each in row["subresources"]] == ["status"]
    same = await api("GET", "/apis", accept=accept, if_none_match=after.headers["etag"])
    assert same.status == 304
    await api("DELETE", f"{DEFINITIONS}/found.sem.example.com")

    async def is_gone() -> bool:
        return (await api("GET", path)).status == 404

    await until(is_gone)


async def test_quotas_count_them(api: Any) -> None:
    path = await define(api, "counted", version({"a": STRING}))
    quotas = "/api/v1/namespaces/default/resourcequotas"
    hard = {"count/counted.sem.example.com": "1"}
    made = await api("POST", quotas, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    assert made.status == 201, made.body

    async def known() -> bool:
        return bool((await api("GET", f"{quotas}/q")).tree.get("status", {}).get("hard"))

    await until(known)
    assert (await make(api, path, "a")).status == 201
    refused = await make(api, path, "b")
    assert (refused.status, refused.tree["reason"]) == (403, "Forbidden")
    assert "exceeded quota: q, requested: count/counted.sem.example.com=1" in refused.message
    await api("DELETE", f"{quotas}/q")


async def test_rights_are_given_for_them(api: Any) -> None:
    path = await define(api, "guarded", version({"a": STRING}, subresources={"status": {}}))
    token = (
        await api(
            "POST",
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}},
        )
    ).tree["status"]["token"]
    refused = await api("GET", path, token=token)
    assert refused.message == (
        'guarded.sem.example.com is forbidden: User "system:serviceaccount:default:default" cannot list resource '
        '"guarded" in API group "sem.example.com" in the namespace "default"'
    )
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rule = {"apiGroups": ["sem.example.com"], "resources": ["guarded"], "verbs": ["list", "create", "get"]}
    await api("POST", f"{roles}/roles", {"metadata": {"name": "guard"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "guard"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "guard"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    assert (await api("POST", f"{roles}/rolebindings", binding)).status == 201
    assert (await api("GET", path, token=token)).status == 200
    assert (await api("POST", path, thing(path, "a"), token=token)).status == 201
    assert (await api("PATCH", f"{path}/a/status", {}, token=token, content_type=MERGE)).status == 403


async def test_two_hundred_definitions_at_once(api: Any) -> None:
    names = [f"kind{number:03}s" for number in range(200)]
    made = await asyncio.gather(*(api("POST", DEFINITIONS, definition(name, version())) for name in names))
    assert {each.status for each in made} == {201}

    async def all_served() -> bool:
        rows = (await api("GET", "/apis/sem.example.com/v1")).tree["resources"]
        return {each["name"] for each in rows} >= set(names)

    async with asyncio.timeout(60):
        while not await all_served():
            pass
    document = (await api("GET", "/openapi/v3/apis/sem.example.com/v1")).tree
    assert {f"com.example.sem.v1.{name.capitalize()}" for name in names} <= document["components"]["schemas"].keys()


async def test_groups_of_the_project_say_how_they_were_approved(api: Any) -> None:
    made = definition("approvals", version())
    made["metadata"] = {
        "name": "approvals.sem.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
    }
    made["spec"]["group"] = "sem.k8s.io"
    assert (await api("POST", DEFINITIONS, made)).status == 201

    async def said() -> Any:
        tree = (await api("GET", f"{DEFINITIONS}/approvals.sem.k8s.io")).tree
        known = {each["type"]: each for each in tree["status"].get("conditions") or ()}
        return known.get("KubernetesAPIApprovalPolicyConformant")

    condition = await until(said)
    assert (condition["status"], condition["reason"]) == ("False", "UnapprovedAnnotation")
    assert condition["message"] == 'not approved: "unapproved, a test"'
    await api("DELETE", f"{DEFINITIONS}/approvals.sem.k8s.io")
