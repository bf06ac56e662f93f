"""Server-side apply of custom resources, and what updates may keep that a later schema refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
STRING = {"type": "string"}
PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
    "items": {
        "type": "object",
        "required": ["containerPort", "protocol"],
        "properties": {
            "containerPort": {"type": "integer", "format": "int32"},
            "hostIP": STRING,
            "hostPort": {"type": "integer", "format": "int32"},
            "name": STRING,
            "protocol": STRING,
        },
    },
}
CRON = {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"}
SENTINEL = "sentinelField"


def of_spec(**properties: Tree) -> Tree:
    spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": properties}
    return {"type": "object", "properties": {"spec": spec}}


class Applied:
    """Applies one object of a definition."""

    def __init__(self, api: RawClient, definition: Any) -> None:
        self.api, self.definition = api, definition

    async def __call__(
        self, version: str = "v1beta1", by: str = "apply_test", force: bool = False, **body: Any
    ) -> Reply:
        tree = self.definition.made("mytest", version) | body
        tree["metadata"] = {"name": "mytest"} | body.get("metadata", {})
        query = f"?fieldManager={by}" + ("&force=true" if force else "")
        at = f"{self.definition.path(version)}/mytest{query}"
        return await self.api("PATCH", at, yaml.safe_dump(tree).encode(), content_type=APPLY)

    async def merge(self, patch: Tree) -> Reply:
        reply = await self.api("PATCH", f"{self.definition.path()}/mytest", patch, content_type=MERGE)
        assert reply.status == 200, reply.body
        return reply


async def test_custom_resources_are_applied(api: RawClient, define: Any, make_version: Any) -> None:
    schema = of_spec(cronSpec=CRON, ports=PORTS)
    made = await define(make_version("v1beta1", schema), make_version("v1", schema, storage=False))
    apply = Applied(api, made)
    port = {"name": "x", "containerPort": 80, "protocol": "TCP"}
    spec = {"cronSpec": "* * * * */5", "replicas": 1, "ports": [port]}
    finalizers = {"finalizers": ["test-finalizer"]}
    first = await apply(spec=spec, metadata=finalizers)
    assert (first.status, first.tree["metadata"]["finalizers"]) == (201, ["test-finalizer"])
    assert first.tree["spec"] == spec
    other = await apply("v1", spec=spec)
    assert (other.status, other.tree["spec"]) == (200, spec)
    both = {"finalizers": ["test-finalizer", "another-one"]}
    assert (await apply.merge({"metadata": both})).tree["metadata"]["finalizers"] == both["finalizers"]
    again = await apply(spec=spec, metadata=finalizers)
    assert sorted(again.tree["metadata"]["finalizers"]) == sorted(both["finalizers"])
    assert (await apply.merge({"spec": {"replicas": 5}})).tree["spec"]["replicas"] == 5
    refused = await apply(spec=spec, metadata=finalizers)
    assert (refused.status, len(refused.tree["details"]["causes"])) == (409, 1)
    assert (await apply(spec=spec, metadata=finalizers, force=True)).tree["spec"]["replicas"] == 1
    refused = await apply(by="apply_test_2", spec={"ports": [port | {"name": "y"}]})
    assert (refused.status, len(refused.tree["details"]["causes"])) == (409, 1)
    more = await apply(by="apply_test_2", spec={"ports": [port | {"name": "y", "containerPort": 8080}]})
    assert (more.status, len(more.tree["spec"]["ports"])) == (200, 2)
    body = made.made("should-not-exist", spec=spec | {"ports": [{"name": "x", "containerPort": 80}]}, protocol="TCP")
    assert (await api("PUT", f"{made.path()}/should-not-exist?fieldManager=apply_test", body)).status == 404
    await apply.merge({"metadata": {"finalizers": []}})


async def test_an_atomic_list_is_replaced_as_a_whole(api: RawClient, define: Any, make_version: Any) -> None:
    atomic = {"type": "array", "x-kubernetes-list-type": "atomic", "items": STRING}
    apply = Applied(api, await define(make_version("v1beta1", of_spec(atomicList=atomic))))
    assert (await apply(spec={"atomicList": ["item1"]})).tree["spec"]["atomicList"] == ["item1"]
    second = await apply(by="apply_test_2", force=True, spec={"atomicList": ["item2"]})
    assert second.tree["spec"]["atomicList"] == ["item2"]


def everywhere(field: Tree, **bounds: Any) -> Tree:
    """A schema that says the same of a field, of one in a struct, in a list's items and in a map's values."""
    held = {"type": "object", "properties": {"field": field, "otherField": STRING}}
    item = {"type": "object", "required": ["key"], "properties": {"key": STRING, **held["properties"]}}
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"], "items": item}
    mapped = {"type": "object", "additionalProperties": held}
    if bounds:
        keyed["maxItems"] = mapped["maxProperties"] = 5
    return {"field": field | bounds, "struct": held, "list": keyed, "map": mapped}


def filled(value: str) -> Tree:
    """Content for such a schema."""
    held = {"field": value}
    keys = ("foo", "bar")
    listed = [{"key": key, **held} for key in keys]
    return {"field": value, "struct": held, "list": listed, "map": dict.fromkeys(keys, held)}


class Ratcheting:
    """An object whose schema changes under it."""

    def __init__(self, api: RawClient, definition: Any) -> None:
        self.api, self.definition, self.apply = api, definition, Applied(api, definition)
        self.changes = 0

    async def schema(self, properties: Mapping[str, Tree]) -> None:
        """Another schema, waited for."""
        self.changes += 1
        sentinel = {SENTINEL: {"type": "string", "enum": [f"unique-{self.changes}"]}}
        schema = {"type": "object", "properties": {**properties, **sentinel}}
        step = {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}
        await self.definition.patch(step)

        async def obeyed() -> bool:
            wrong = self.definition.made("sentinel", **{SENTINEL: "wrong"})
            return f"unique-{self.changes}" in (await self.api("POST", self.definition.path(), wrong)).message

        await self.api.eventually(obeyed)

    async def content(self, labels: Mapping[str, str] | None = None, **content: Any) -> Reply:
        return await self.apply(by="manager", metadata={"labels": labels} if labels else {}, **content)

    async def passes(self, labels: Mapping[str, str] | None = None, **content: Any) -> None:
        reply = await self.content(labels, **content)
        assert reply.status in (200, 201), reply.body

    async def fails(self, *paths: str, labels: Mapping[str, str] | None = None, **content: Any) -> None:
        reply = await self.content(labels, **content)
        assert reply.status == 422, reply.body
        assert all(path in reply.message for path in paths), reply.message


@pytest.fixture
def ratcheting(api: RawClient, define: Any) -> Any:
    async def make() -> Ratcheting:
        return Ratcheting(api, await define())

    return make


LABELS = {"foo": "bar"}
BY_SCHEMA = ("field", "struct.field", "list[0].field", "list[1].field", "map.foo.field", "map.bar.field")
BY_RULE = ("field", "struct.field", "list[0].field", "list[1].field", "map[foo].field", "map[bar].field")


def rule(text: str, **more: Any) -> Tree:
    return {"type": "string", "maxLength": 6, "x-kubernetes-validations": [{"rule": text} | more]}


@pytest.mark.parametrize("field", [STRING | {"enum": ["notfoo"]}, rule('self == "notfoo"')])
async def test_what_does_not_change_may_stay_wrong(ratcheting: Any, field: Tree) -> None:
    there = await ratcheting()
    await there.passes(**filled("foo"))
    await there.schema(everywhere(field))
    await there.passes(LABELS, **filled("foo"))
    held = {"field": "foo", "otherField": "doesntmatter"}
    listed = [{"key": "foo", **held}, {"key": "bar", **held}, {"key": "baz", "field": "notfoo"}]
    await there.passes(field="foo", struct=held, list=listed, map={"foo": held, "bar": held})


@pytest.mark.parametrize(
    "item", [STRING | {"enum": ["notfoo", "notbar", "notbaz"]}, rule('self != "foo"') | {"maxLength": 10}]
)
async def test_items_that_have_no_key_are_judged_anew(ratcheting: Any, item: Tree) -> None:
    there = await ratcheting()
    items = ["foo", "bar", "baz"]
    await there.passes(setArray=items, atomicArray=items)
    kept = {"type": "array", "x-kubernetes-list-type": "set", "items": item, "maxItems": 10}
    await there.schema({"atomicArray": {"type": "array", "items": item, "maxItems": 10}, "setArray": kept})
    more = [*items, "notfoo"]
    await there.fails("atomicArray", "setArray", labels=LABELS, setArray=more, atomicArray=more)


@pytest.mark.parametrize(
    ("field", "paths"), [(STRING | {"enum": ["foo"]}, BY_SCHEMA), (rule('self == "foo"'), BY_RULE)]
)
async def test_what_changes_must_be_right(ratcheting: Any, field: Tree, paths: tuple[str, ...]) -> None:
    there = await ratcheting()
    await there.passes(**filled("foo"))
    await there.schema(everywhere(field, maxLength=6))
    await there.fails(*paths, **filled("notfoo"))


async def test_rules_of_transitions_are_always_asked(ratcheting: Any) -> None:
    there = await ratcheting()
    await there.passes(**filled("foo"))
    await there.schema(everywhere(rule("self != oldSelf"), maxLength=5))
    await there.fails(*BY_RULE, labels=LABELS, **filled("foo"))


async def test_a_rule_with_an_optional_old_self_is_asked_of_what_is_new(ratcheting: Any) -> None:
    there = await ratcheting()
    field = rule("!oldSelf.hasValue() || self != oldSelf.value()", optionalOldSelf=True)
    await there.schema(everywhere(field, maxLength=5))
    await there.passes(**filled("foo"))
    await there.fails(*BY_RULE, labels=LABELS, **filled("foo"))
    await there.passes(**filled("new"))


async def test_rules_judge_and_must_compile(api: RawClient, define: Any, make_version: Any) -> None:
    number = {"type": "integer"}
    spec = {"type": "object", "properties": {"x": number, "y": number}}
    spec["x-kubernetes-validations"] = [{"rule": "self.x + self.y > 0"}]
    made = await define(make_version("v1beta1", {"type": "object", "properties": {"spec": spec}}))
    assert (await api("POST", made.path(), made.made("a", spec={"x": 1, "y": 0}))).status == 201
    refused = await api("POST", made.path(), made.made("b", spec={"x": 0, "y": 0}))
    assert (refused.status, "failed rule" in refused.message) == (422, True)
    spec["x-kubernetes-validations"] = [{"rule": "self.z == 100"}]
    version = make_version("v1beta1", {"type": "object", "properties": {"spec": spec}})
    names = {"plural": "zs", "singular": "z", "kind": "Z", "listKind": "ZList"}
    tree = {"group": "mygroup.example.com", "scope": "Cluster", "names": names, "versions": [version]}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    wrong = await api("POST", definitions, {"metadata": {"name": "zs.mygroup.example.com"}, "spec": tree})
    assert (wrong.status, "undefined field 'z'" in wrong.message) == (422, True)
