"""Bodies and patches that are no objects of their kind, over HTTPS: what upstream's decoder says, said first."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JSON, YAML = "application/json", "application/yaml"
MERGE, OPERATIONS = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def made(api: Any, name: str) -> str:
    await api("POST", DEPLOYMENTS, deployment(name))
    return f"{DEPLOYMENTS}/{name}"


def warnings(reply: Any) -> str:
    return str(reply.headers.get("warning", ""))


async def test_values_of_a_wrong_type(api: Any) -> None:
    reply = await api("POST", DEPLOYMENTS, deployment("wrong", replicas="3"))
    assert (reply.status, reply.tree["reason"], reply.message) == (
        400,
        "BadRequest",
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct '
        "field DeploymentSpec.spec.replicas of type int32",
    )
    assert "details" not in reply.tree


async def test_a_number_is_told_as_it_is_spelt(api: Any) -> None:
    body = json.dumps(deployment("spelt", replicas=0)).replace('"replicas": 0', '"replicas": 1E0').encode()
    reply = await api("POST", DEPLOYMENTS, body)
    assert reply.message.endswith(
        "cannot unmarshal number 1E0 into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


async def test_a_body_is_decoded_before_anything_else_is_looked_at(api: Any) -> None:
    body = deployment("named", replicas=True)
    body["metadata"]["namespace"] = "elsewhere"
    for method, path in (("POST", DEPLOYMENTS), ("PUT", f"{DEPLOYMENTS}/not-there")):
        reply = await api(method, path, body)
        assert reply.message.endswith(
            "cannot unmarshal bool into Go struct field DeploymentSpec.spec.replicas of type int32"
        )
    unknown = await api("PUT", f"{DEPLOYMENTS}/not-there?fieldValidation=Strict", deployment("not-there", colour=1))
    assert (unknown.status, unknown.message.partition(": ")[2]) == (
        400,
        'strict decoding error: unknown field "spec.colour"',
    )


async def test_strict_complaints_stand_in_the_documents_order(api: Any) -> None:
    body = b'{"extra":1,"metadata":{"name":"strict","labels":{"a":"1","a":"2"}},"data":{"b":"1","b":"2"},"more":{}}'
    told = 'unknown field "extra", duplicate field "metadata.labels.a", duplicate field "data.b", unknown field "more"'
    strict = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert strict.message == (
        f'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: {told}'
    )
    warned = await api("POST", f"{CONFIG_MAPS}?dryRun=All", body)
    headers = ", ".join('299 - "' + each.replace('"', '\\"') + '"' for each in told.split(", "))
    assert (warned.status, warnings(warned)) == (201, headers)
    assert warned.tree["data"] == {"b": "2"}


async def test_a_wrong_type_is_told_before_unknown_fields(api: Any) -> None:
    body = {"metadata": {"name": "both"}, "extra": 1, "data": {"a": 1}}
    reply = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert reply.message.endswith("json: cannot unmarshal number into Go struct field ConfigMap.data of type string")


async def test_repeated_keys_of_yaml(api: Any) -> None:
    text = b"metadata:\n  name: twice\n  name: twice\ndata:\n  a: x\n  a: y\nextra: 1\n"
    strict = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", text, content_type=YAML)
    assert strict.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n'
        '  line 3: key "name" already set in map\n  line 6: key "a" already set in map, unknown field "extra"'
    )
    warned = await api("POST", f"{CONFIG_MAPS}?dryRun=All", text, content_type=YAML)
    for told in (
        r"line 3: key \"name\" already set in map",
        r"line 6: key \"a\" already set",
        r"unknown field \"extra\"",
    ):
        assert told in warnings(warned)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a: b: c", "yaml: mapping values are not allowed in this context"),
        (b"kind: ConfigMap\na: [", "yaml: line 2: did not find expected node content"),
        (b"kind: *none", "yaml: unknown anchor 'none' referenced"),
    ],
)
async def test_texts_that_are_no_yaml(api: Any, text: bytes, why: str) -> None:
    reply = await api("POST", CONFIG_MAPS, text, content_type=YAML)
    assert reply.message == (
        f"the object provided is unrecognized (must be of type ConfigMap): {why} ({text.hex()[:60]}"
        + (" ..." if len(text) > 30 else "")
        + ")"
    )


@pytest.mark.parametrize(
    ("patch", "media", "status", "message"),
    [
        ({"spec": {"replicas": "x"}}, STRATEGIC, 422, "map[spec:map[replicas:x]]: unrecognized type: int32"),
        ({"spec": {"paused": 5}}, STRATEGIC, 422, "map[spec:map[paused:5]]: unrecognized type: bool"),
        (b"{x", STRATEGIC, 400, "invalid character 'x' looking for beginning of object key string"),
        ([], STRATEGIC, 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (b"{x", MERGE, 400, "error decoding patch: invalid character 'x' looking for beginning of object key string"),
        (
            [],
            MERGE,
            400,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (None, MERGE, 400, "Invalid JSON Patch"),
        (
            {},
            OPERATIONS,
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            [{"op": 3}],
            OPERATIONS,
            400,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
        (
            b"a: b: c",
            APPLY,
            400,
            "error decoding YAML: error converting YAML to JSON: yaml: mapping values are not allowed in this context",
        ),
        (
            b"- a",
            APPLY,
            400,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            b"metadata:\n  labels: {a: b, a: c}\n",
            APPLY + "?strict",
            400,
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 2: key "a" already set in map',
        ),
    ],
)
async def test_patches_that_cannot_be_read(api: Any, patch: Any, media: str, status: int, message: str) -> None:
    path = await made(api, "patched")
    media, _, strict = media.partition("?")
    query = "?fieldManager=me" + ("&fieldValidation=Strict" if strict else "")
    body = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
    reply = await api("PATCH", path + query, body, content_type=media)
    if status == 422:
        shown, _, why = message.partition(": ")
        message = f'"" is invalid: patch: Invalid value: "{shown}": {why}'
        assert reply.tree["details"]["causes"][0]["field"] == "patch"
    assert (reply.status, reply.message.lstrip()) == (status, message)


@pytest.mark.parametrize(
    ("patch", "media"),
    [({"spec": {"replicas": "x"}}, MERGE), ([{"op": "add", "path": "/spec/replicas", "value": "x"}], OPERATIONS)],
)
async def test_patches_that_make_something_wrong_show_what_they_made(api: Any, patch: Any, media: str) -> None:
    path = await made(api, "patched")
    reply = await api("PATCH", path, json.dumps(patch).encode(), content_type=media)
    before, _, why = reply.message.partition('}": ')
    assert (reply.status, reply.tree["reason"]) == (422, "Invalid")
    assert before.startswith(r' "" is invalid: patch: Invalid value: "{\"apiVersion\":\"apps/v1\"')
    assert why == "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"


async def test_complaints_of_patches(api: Any) -> None:
    path = await made(api, "patched")
    twice = b'{"metadata":{"labels":{"a":"1","a":"2"}},"colour":1}'
    warned = await api("PATCH", path, twice, content_type=MERGE)
    assert warned.status == 200
    assert r"duplicate field \"metadata.labels.a\"" in warnings(warned)
    assert r"unknown field \"colour\"" in warnings(warned)
    strict = await api("PATCH", f"{path}?fieldValidation=Strict", twice, content_type=STRATEGIC)
    assert strict.message.endswith('strict decoding error: duplicate field "metadata.labels.a", unknown field "colour"')
    operations = b'[{"op":"test","path":"/kind","value":"Deployment","why":1}]'
    noted = await api("PATCH", path, operations, content_type=OPERATIONS)
    assert (noted.status, warnings(noted)) == (200, r'299 - "json patch unknown field \"[0].why\""')


async def test_what_is_not_there_is_told_before_a_patch_is_read(api: Any) -> None:
    reply = await api("PATCH", f"{DEPLOYMENTS}/not-there", b"{x", content_type=MERGE)
    assert (reply.status, reply.tree["reason"]) == (404, "NotFound")


async def test_a_patch_that_does_not_apply_has_empty_details(api: Any) -> None:
    path = await made(api, "patched")
    reply = await api("PATCH", path, b'[{"op":"remove","path":"/nothing"}]', content_type=OPERATIONS)
    assert reply.tree == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }


async def test_a_patch_may_have_ten_thousand_operations(api: Any) -> None:
    path = await made(api, "patched")
    step = {"op": "test", "path": "/kind", "value": "Deployment"}
    at_most = await api("PATCH", path, json.dumps([step] * 10_000).encode(), content_type=OPERATIONS)
    assert at_most.status == 200
    beyond = await api("PATCH", path, json.dumps([step] * 10_001).encode(), content_type=OPERATIONS)
    assert (beyond.status, beyond.tree["reason"], beyond.message) == (
        413,
        "RequestEntityTooLarge",
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    )


async def test_a_strategic_patch_does_not_change_the_kind(api: Any) -> None:
    path = await made(api, "patched")
    reply = await api("PATCH", path, {"kind": "Secret", "apiVersion": "v7"}, content_type=STRATEGIC)
    assert (reply.status, reply.tree["kind"], reply.tree["apiVersion"]) == (200, "Deployment", "apps/v1")
    merged = await api("PATCH", path, {"kind": "Secret", "apiVersion": "v1"}, content_type=MERGE)
    assert (merged.status, merged.message.rpartition('": ')[2]) == (
        422,
        "converting (v1.Secret) to (apps.Deployment): unknown conversion",
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_scale_of_a_wrong_type(api: Any, method: str) -> None:
    path = await made(api, "scaled")
    scale = {"metadata": {"name": "scaled", "namespace": "default"}, "spec": {"replicas": "x"}}
    reply = await api(method, f"{path}/scale", scale, content_type=MERGE if method == "PATCH" else JSON)
    assert reply.status == (422 if method == "PATCH" else 400)
    assert reply.message.endswith(
        "json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32"
    )


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/api/v1/namespaces/default/pods/x/binding", {"target": []}, "Binding.target of type v1.ObjectReference"),
        (
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            {"spec": {"audiences": "a"}},
            "TokenRequestSpec.spec.audiences of type []string",
        ),
        (
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"spec": {"groups": "a"}},
            "SubjectAccessReviewSpec.spec.groups of type []string",
        ),
    ],
)
async def test_bodies_that_are_not_stored(api: Any, path: str, body: Any, where: str) -> None:
    reply = await api("POST", path, body)
    assert (reply.status, reply.message.partition("Go struct field ")[2]) == (400, where)
    kind = where.partition(".")[0].removesuffix("Spec")
    if kind == "SubjectAccessReview":
        warned = await api("POST", path, {"spec": {"user": "me", "nonResourceAttributes": {}}, "colour": 1})
        assert (warned.status, warnings(warned)) == (201, r'299 - "unknown field \"colour\""')
    unknown = await api("POST", f"{path}?fieldValidation=Strict", {"colour": 1})
    assert unknown.message == (
        f'{kind} in version "v1" cannot be handled as a {kind}: strict decoding error: unknown field "colour"'
    )


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"gracePeriodSeconds": "0"}, "string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"),
        ({"preconditions": "x"}, "string into Go struct field DeleteOptions.preconditions of type v1.Preconditions"),
        (
            {"preconditions": {"uid": 5}},
            "number into Go struct field Preconditions.preconditions.uid of type types.UID",
        ),
        ({"dryRun": 5}, "number into Go struct field DeleteOptions.dryRun of type []string"),
        (
            {"propagationPolicy": []},
            "array into Go struct field DeleteOptions.propagationPolicy of type v1.DeletionPropagation",
        ),
    ],
)
async def test_options_of_a_deletion(api: Any, options: Any, where: str) -> None:
    path = await made(api, "undeletable")
    for target in (path, f"{DEPLOYMENTS}?labelSelector=app%3Dundeletable"):
        reply = await api("DELETE", target, options)
        assert (reply.status, reply.message) == (400, f"json: cannot unmarshal {where}")
    assert (await api("GET", path)).status == 200


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        ({"spec": True}, "bool into Go struct field Scale.spec of type v1.ScaleSpec"),
        ({"metadata": [1]}, "array into Go struct field Scale.metadata of type v1.ObjectMeta"),
        ({"metadata": {"name": ["x"]}}, "array into Go struct field ObjectMeta.metadata.name of type string"),
        (
            {"spec": {"replicas": 1 << 40}},
            "number 1099511627776 into Go struct field ScaleSpec.spec.replicas of type int32",
        ),
    ],
)
async def test_scales_that_are_none(api: Any, scale: Any, told: str) -> None:
    path = await made(api, "scaled")
    for method, media in (("PUT", JSON), ("PATCH", APPLY)):
        reply = await api(method, f"{path}/scale?fieldManager=me", scale, content_type=media)
        assert (reply.status, reply.message) == (
            400,
            f'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal {told}',
        )


async def test_numbers_of_any_size_in_free_form_parts(api: Any) -> None:
    entry = {"manager": "m", "fieldsType": "FieldsV1", "fieldsV1": {"f:a": 1 << 70}}
    body = {"metadata": {"managedFields": [entry]}, "spec": {"token": "x"}}
    reply = await api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
    assert (reply.status, reply.tree["status"].get("authenticated", False)) == (201, False)


def definition(part: Any) -> dict[str, Any]:
    names = {"plural": "parts", "kind": "Part"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": part}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "parts.example.com"},
        "spec": {"group": "example.com", "names": names, "scope": "Namespaced", "versions": [version]},
    }


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {"items": {"properties": {"a": 5}}},
            "json: cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema"
            ".items of type v1.JSONSchemaProps",
        ),
        (
            {"properties": {"a": {"additionalProperties": {"type": 5}}}},
            "json: cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema"
            ".properties.additionalProperties of type string",
        ),
        ({"additionalProperties": "x"}, "boolean or JSON schema expected"),
    ],
)
async def test_parts_of_a_definition_that_are_no_schemas(api: Any, part: Any, told: str) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    reply = await api("POST", path, definition(part))
    why = f'CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition: {told}'
    assert (reply.status, reply.message) == (400, why)
    reply = await api("POST", f"{path}?fieldValidation=Strict", definition(part))
    assert (reply.status, reply.message) == (400, why)


@pytest.mark.parametrize("part", [{"items": 5}, {"items": {"properties": {"a": None}}}, {"dependencies": {"a": 5}}])
async def test_parts_of_a_definition_that_are_passed_over(api: Any, part: Any) -> None:
    part = {"type": "object", "properties": {"a": {"type": "array", **part}}}
    reply = await api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(part))
    assert reply.status == 422
