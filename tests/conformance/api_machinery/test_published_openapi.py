"""What OpenAPI tells of custom resources, and what kubectl makes of it: create, apply, explain."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from podkeeper.testing.raw_client import RawClient, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
KUBECTL = Path(__file__).parents[3] / ".cache" / "clients" / "kubectl-1.36"
GROUP = "crd-publish-openapi-test-{}.example.com"
#: What the server adds to a schema.
ADDED = ("metadata", "apiVersion", "kind")
STATUS = """
  status:
    description: Status of {0}
    type: object
    properties:
      bars:
        description: List of Bars and their statuses.
        type: array
        items:
          type: object
"""
FOO: Tree = yaml.safe_load(
    """
description: Foo CRD for Testing
type: object
properties:
  spec:
    type: object
    description: Specification of Foo
    properties:
      bars:
        description: List of Bars and their specs.
        type: array
        items:
          type: object
          required: [name]
          properties:
            name: {description: Name of Bar., type: string}
            age: {description: Age of Bar., type: string}
            feeling: {description: Whether Bar is feeling great., type: string, enum: [Great, Down]}
            bazs: {description: List of Bazs., items: {type: string}, type: array}"""
    + STATUS.format("Foo")
    + """
          properties:
            name: {description: Name of Bar., type: string}
            available: {description: Whether the Bar is installed., type: boolean}
            quxType: {description: Indicates to external qux type., pattern: in-tree|out-of-tree, type: string}
"""
)
WALDO: Tree = yaml.safe_load(
    """
description: Waldo CRD for Testing
type: object
properties:
  spec:
    description: Specification of Waldo
    type: object
    properties:
      dummy: {description: Dummy property., type: object}"""
    + STATUS.format("Waldo")
)
PRESERVING = {"x-kubernetes-preserve-unknown-fields": True}
PRESERVING_ROOT: Tree = WALDO | PRESERVING | {"description": "preserve-unknown-properties at root for Testing"}
PRESERVING_NESTED: Tree = WALDO | {
    "description": "preserve-unknown-properties in nested field for Testing",
    "properties": WALDO["properties"] | {"spec": WALDO["properties"]["spec"] | PRESERVING},
}


class Published:
    """What /openapi/v2 says of definitions."""

    def __init__(self, api: RawClient) -> None:
        self._api = api

    async def shows(self, definition: Any, version: str, schema: Tree | None) -> None:
        """Waits until a version is published with exactly this schema (None: with any)."""
        name = definition_name(definition, version)

        def told(reply: Reply) -> bool:
            found = reply.tree["definitions"].get(name)
            return found is not None and (schema is None or plain(found) == schema)

        await self._api.until("/openapi/v2", told)

    async def hides(self, definition: Any, version: str) -> None:
        name = definition_name(definition, version)
        await self._api.until("/openapi/v2", lambda reply: name not in reply.tree["definitions"])


def definition_name(definition: Any, version: str) -> str:
    return ".".join((*reversed(definition.group.split(".")), version, definition.kind))


def plain(schema: Tree) -> Tree:
    """A published schema without what the server added."""
    kept = {key: value for key, value in schema.items() if key != "x-kubernetes-group-version-kind"}
    if "properties" in kept:
        kept["properties"] = {key: value for key, value in kept["properties"].items() if key not in ADDED}
    return kept


@pytest.fixture
def published(api: RawClient) -> Published:
    return Published(api)


@pytest.fixture
def publish(define: Any, make_version: Any, published: Published) -> Callable[..., Awaitable[Any]]:
    """Makes a definition of a group with versions, the first stored, and waits until they are published."""

    async def make(suffix: str, schema: Tree, *versions: str, expected: Tree | None = None) -> Any:
        made = [make_version(name, schema, storage=name == versions[0]) for name in versions]
        found = await define(*made, group=GROUP.format(suffix), scope="Namespaced")
        for name in versions:
            await published.shows(found, name, expected or schema)
        return found

    return make


async def test_definitions_of_different_groups(publish: Any, published: Published) -> None:
    foo, waldo = await publish("foo", FOO, "v1"), await publish("waldo", WALDO, "v1beta1")
    assert foo.group != waldo.group
    await published.shows(foo, "v1", FOO)
    await published.shows(waldo, "v1beta1", WALDO)
    await foo.delete()
    await waldo.delete()
    await published.hides(foo, "v1")
    await published.hides(waldo, "v1beta1")


async def test_definitions_of_one_group_and_different_versions(publish: Any, published: Published) -> None:
    both = await publish("multi-ver", FOO, "v2", "v3")
    await both.delete()
    for version in ("v2", "v3"):
        await published.hides(both, version)
    foo, waldo = await publish("common-group", FOO, "v4"), await publish("common-group", WALDO, "v5")
    await published.shows(foo, "v4", FOO)
    await published.shows(waldo, "v5", WALDO)


async def test_definitions_of_one_group_and_version(publish: Any, published: Published) -> None:
    foo, waldo = await publish("common-group", FOO, "v6"), await publish("common-group", WALDO, "v6")
    await published.shows(waldo, "v6", WALDO)
    await published.shows(foo, "v6", FOO)


async def test_a_version_is_renamed(publish: Any, published: Published) -> None:
    made = await publish("multi-ver", FOO, "v2", "v3")
    await made.patch(
        {"op": "test", "path": "/spec/versions/1/name", "value": "v3"},
        {"op": "replace", "path": "/spec/versions/1/name", "value": "v4"},
    )
    await published.shows(made, "v4", FOO)
    await published.hides(made, "v3")
    await published.shows(made, "v2", FOO)


async def test_a_version_is_no_longer_served(api: RawClient, publish: Any, published: Published) -> None:
    made = await publish("multi-to-single-ver", FOO, "v5", "v6alpha1")
    tree = (await api("GET", made.at)).tree
    tree["spec"]["versions"][1]["served"] = False
    assert (await api("PUT", made.at, tree)).status == 200
    await published.hides(made, "v6alpha1")
    await published.shows(made, "v5", FOO)


Kubectl = Callable[..., Awaitable[str]]


@pytest.fixture
def kubectl(api: RawClient, tmp_path: Path) -> Kubectl:
    """kubectl against the server: its output, or, where it fails, what it says of that."""
    if not KUBECTL.exists():
        pytest.skip(f"{KUBECTL} is not there; tools/fetch_clients.py fetches it")
    where = ["--server", api.server.url, "--certificate-authority", str(api.server.authority.pair.certificate)]
    options = [*where, "--token", api.token, "--kubeconfig", "/dev/null", "--cache-dir", str(tmp_path)]

    async def run(*words: str, stdin: Tree | None = None, fails: bool = False) -> str:
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *options,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(tmp_path)},
        )
        output = (await process.communicate(json.dumps(stdin).encode() if stdin else None))[0].decode()
        assert (process.returncode != 0) == fails, output
        return output

    return run


async def create_and_apply(kubectl: Kubectl, made: Any, namespace: str, **content: Any) -> None:
    """Both take the object, each in a fresh place."""
    where = f"--namespace={namespace}"
    tree = made.made("test-cr", made.tree["spec"]["versions"][0]["name"], **content)
    for verb in ("create", "apply"):
        await kubectl(where, verb, "-f", "-", stdin=tree)
        await kubectl(where, "delete", made.plural, "test-cr")


async def explains(kubectl: Kubectl, path: str, pattern: str) -> None:
    output = await kubectl("explain", path)
    assert re.search(pattern, output, re.DOTALL), output


async def test_kubectl_knows_a_schema(kubectl: Kubectl, publish: Any, namespace: Any) -> None:
    made, where = await publish("foo", FOO, "v1"), await namespace()
    await create_and_apply(kubectl, made, where, spec={"bars": [{"name": "test-bar"}]})
    for verb in ("create", "apply"):
        for spec, complaint in (
            ({"bars": [{"name": "test-bar", "feeling": "NonExistentValue"}]}, 'Unsupported value: "NonExistentValue"'),
            ({"foo": True}, 'unknown field "spec.foo"'),
            ({"bars": [{"age": "10"}]}, "spec.bars[0].name: Required value"),
        ):
            wrong = made.made("test-foo", "v1", spec=spec)
            assert complaint in await kubectl(f"--namespace={where}", verb, "-f", "-", stdin=wrong, fails=True)
    name = made.plural
    await explains(
        kubectl,
        name,
        "DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines"
        ".*spec.*<Object>.*Specification of Foo",
    )
    metadata = "DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>"
    await explains(kubectl, f"{name}.metadata", f"{metadata}.*CreationTimestamp is a timestamp")
    await explains(
        kubectl, f"{name}.spec", r"Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs"
    )
    bars = r"FIELD: bars.*<\[\]Object>.*List of Bars and their specs.*bazs.*<\[\]string>.*List of Bazs"
    await explains(kubectl, f"{name}.spec.bars", f"{bars}.*name.*<string>.*Name of Bar")
    assert 'field "bars2" does not exist' in await kubectl("explain", f"{name}.spec.bars2", fails=True)


async def test_kubectl_takes_anything_without_a_schema(kubectl: Kubectl, publish: Any, namespace: Any) -> None:
    made = await publish("empty", {"type": "object"} | PRESERVING, "v1", expected={"type": "object"})
    await create_and_apply(kubectl, made, await namespace(), a={"b": [{"c": "d"}]})
    await explains(kubectl, made.plural, "DESCRIPTION:.*<empty>")


async def test_kubectl_takes_anything_at_a_preserving_root(
    kubectl: Kubectl, publish: Any, published: Published, define: Any, make_version: Any, namespace: Any
) -> None:
    made = await define(make_version("v1", PRESERVING_ROOT), group=GROUP.format("unknown-at-root"), scope="Namespaced")
    await published.shows(made, "v1", None)
    await create_and_apply(kubectl, made, await namespace(), a={"b": [{"c": "d"}]})
    await explains(kubectl, made.plural, f"KIND:.*{made.kind}")


async def test_kubectl_takes_anything_in_a_preserving_field(
    kubectl: Kubectl, published: Published, define: Any, make_version: Any, namespace: Any
) -> None:
    group = GROUP.format("unknown-in-nested")
    made = await define(make_version("v1", PRESERVING_NESTED), group=group, scope="Namespaced")
    await published.shows(made, "v1", None)
    await create_and_apply(kubectl, made, await namespace(), spec={"a": None, "b": [{"c": "d"}]})
    await explains(kubectl, made.plural, "DESCRIPTION:.*preserve-unknown-properties in nested field for Testing")
