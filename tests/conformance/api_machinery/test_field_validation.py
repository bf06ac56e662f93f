"""Field validation by the server: unknown and duplicate fields, in typed and in custom objects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
STRICT = "fieldManager=field_validation_mgr&fieldValidation=Strict"
STRING = {"type": "string"}
INTEGER = {"type": "integer", "format": "int32"}
PORT = {
    "type": "object",
    "properties": {"containerPort": INTEGER, "hostPort": INTEGER, "hostIP": STRING, "name": STRING, "protocol": STRING},
    "required": ["containerPort", "protocol"],
}
PORTS = {
    "type": "array",
    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
    "x-kubernetes-list-type": "map",
    "items": PORT,
}
CRON = STRING | {"pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"}
SPEC: Tree = {"type": "object", "properties": {"foo": STRING, "cronSpec": CRON, "ports": PORTS}}
TEMPLATE: Tree = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "properties": {"metadata": {"type": "object", "properties": {"name": STRING}}, "spec": {"type": "object"}},
}
PRESERVING = {"x-kubernetes-preserve-unknown-fields": True}

DEPLOYMENT = """{
  "apiVersion": "apps/v1",
  "kind": "Deployment",
  "metadata": {"name": "my-dep", %s "labels": {"app": "nginx"}},
  "spec": {
    %s
    "selector": {"matchLabels": {"app": "nginx"}},
    "template": {
      "metadata": {"labels": {"app": "nginx"}},
      "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}
    }
  }
}"""
OBJECT = """
apiVersion: %s
kind: %s
metadata:
  name: mytest
%s
spec:
%s
  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP"""
FINALIZERS = "  finalizers:\n  - test-finalizer"


async def created(api: RawClient, namespace: str, body: str) -> Reply:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?{STRICT}"
    return await api("POST", path, body.encode())


async def test_unknown_and_duplicate_fields_of_a_typed_object(api: RawClient, namespace: Any) -> None:
    wrong = DEPLOYMENT % ("", '"unknownField": "foo", "replicas": 2, "replicas": 3,')
    refused = await created(api, await namespace(), wrong)
    assert refused.status == 400
    assert (
        'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"' in refused.message
    )


async def test_unknown_metadata_of_a_typed_object(api: RawClient, namespace: Any) -> None:
    refused = await created(api, await namespace(), DEPLOYMENT % ('"unknownMeta": "foo",', ""))
    assert 'strict decoding error: unknown field "metadata.unknownMeta"' in refused.message


class Applying:
    """Applies an object of a definition with three versions, as upstream's fixture has them."""

    def __init__(self, api: RawClient, define: Any, make_version: Any) -> None:
        self._api, self._define, self._version = api, define, make_version

    async def __call__(self, schema: Tree, spec: str, metadata: str = FINALIZERS) -> Reply:
        versions = [
            self._version("v1beta1", schema, storage=False, subresources={}),
            self._version("v1beta2", schema, subresources={}),
            self._version("v0", schema, storage=False, served=False, subresources={}),
        ]
        made = await self._define(*versions)
        body = OBJECT % (f"{made.group}/v1beta1", made.kind, metadata, spec)
        at = f"{made.path()}/mytest"
        applied = await self._api("PATCH", f"{at}?{STRICT}", body.encode(), content_type="application/apply-patch+yaml")
        if applied.status < 300:
            free = json.dumps({"metadata": {"finalizers": None}}).encode()
            await self._api("PATCH", at, free, content_type="application/merge-patch+json")
        return applied


@pytest.fixture
def applying(api: RawClient, define: Any, make_version: Any) -> Applying:
    return Applying(api, define, make_version)


def schema(**more: Any) -> Tree:
    spec = SPEC | more
    return {"type": "object", "properties": {"spec": spec}}


async def test_a_valid_object_is_applied(applying: Applying) -> None:
    assert (await applying(schema(), "  foo: foo1")).status == 201


async def test_unknown_fields_where_there_is_no_schema(applying: Applying) -> None:
    assert (await applying({"type": "object"} | PRESERVING, "  unknown: uk1")).status == 201


async def test_unknown_fields_beside_a_schema(applying: Applying) -> None:
    refused = await applying(schema(), "  foo: foo1", f"{FINALIZERS}\nunknownField: unknown")
    assert ".unknownField: field not declared in schema" in refused.message


async def test_unknown_metadata_in_the_root_and_in_an_embedded_object(applying: Applying) -> None:
    embedding = schema(**PRESERVING)
    embedding["properties"]["spec"]["properties"] = SPEC["properties"] | {"template": TEMPLATE}
    template = """  template:
    apiversion: foo/v1
    kind: Sub
    metadata:
        unknownSubMeta: unknown
        name: subobject
        namespace: ns
  foo: foo1"""
    refused = await applying(embedding, template, f"  unknownMeta: unknown\n{FINALIZERS}")
    assert ".metadata.unknownMeta: field not declared in schema" in refused.message
    assert ".spec.template.metadata.unknownSubMeta: field not declared in schema" in refused.message


async def test_duplicates_where_unknown_fields_are_preserved(applying: Applying) -> None:
    refused = await applying(schema(**PRESERVING), "  unknown: uk1\n  foo: foo1\n  foo: foo2")
    assert 'line 11: key "foo" already set in map' in refused.message
