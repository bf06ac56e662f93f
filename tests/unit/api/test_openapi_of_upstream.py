"""The OpenAPI documents against the published ones: every path and every definition that is served by default.

The published documents are made with every version and feature switched on. Left out of the comparison is what is off
by default: other versions than those of the catalogue, the CBOR encoding, and the log files of the server's machine.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podkeeper.api import openapi
from podkeeper.api.openapi.operations import Operation, all_operations
from podkeeper.api.resources import RESOURCES

SERVED = [row for row in RESOURCES if row.enabled]
PREFIXES = {row.path_prefix for row in SERVED}
GROUPS = {row.group for row in SERVED}
#: Without the deprecated paths, which the Python client's generator leaves out.
PRESENT = [each for each in all_operations(SERVED) if each.action not in ("watch", "watchlist")]
OFF = {"/logs/", "/logs/{logpath}"}

Tree = dict[str, Any]


@pytest.fixture(scope="module")
def own() -> Tree:
    return openapi.v2_document(SERVED, "v1.36.0")


@pytest.fixture(scope="module")
def third() -> dict[str, Tree]:
    documents = openapi.v3_documents(SERVED)
    return {name: openapi.v3_document(found, "v1.36.0") for name, found in documents.items()}


@pytest.fixture(scope="module")
def paths(facts: Path) -> dict[str, Tree]:
    published = json.loads((facts / "openapi-paths.json").read_text())
    return {path: methods for path, methods in published.items() if is_default(path)}


@pytest.fixture(scope="module")
def definitions(facts: Path) -> dict[str, Tree]:
    found: dict[str, Tree] = json.loads((facts / "openapi-definitions.json").read_text())
    return found


def is_default(path: str) -> bool:
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) == 2:
        return parts[1] in GROUPS
    depth = {"api": 2, "apis": 3}.get(parts[0])
    if depth is None or len(parts) < depth:
        return path not in OFF
    return "/" + "/".join(parts[:depth]) in PREFIXES


def without_cbor(media_types: list[str] | None) -> list[str]:
    return sorted(name for name in media_types or () if "cbor" not in name)


def told(methods: Tree) -> Iterator[tuple[str, Tree, list[Tree]]]:
    """Each method of a path with its operation and all its parameters, those of the path included."""
    common = methods.get("parameters", [])
    for method, operation in methods.items():
        if method != "parameters":
            yield method, operation, common + operation.get("parameters", [])


def test_the_paths_are_upstreams(own: Tree, paths: dict[str, Tree]) -> None:
    assert own["paths"].keys() == paths.keys()
    assert len(paths) > 350


def test_every_operation_is_upstreams(own: Tree, paths: dict[str, Tree]) -> None:
    for path, methods in own["paths"].items():
        found = {
            method: {
                "action": operation.get("x-kubernetes-action"),
                "gvk": operation.get("x-kubernetes-group-version-kind"),
                "consumes": sorted(operation.get("consumes", ())),
                "produces": sorted(operation["produces"]),
                "query": sorted(each["name"] for each in parameters if each["in"] == "query"),
                "responses": sorted(operation["responses"]),
            }
            for method, operation, parameters in told(methods)
        }
        cleaned = {
            method: operation
            | {"consumes": without_cbor(operation["consumes"]), "produces": without_cbor(operation["produces"])}
            for method, operation in paths[path].items()
        }
        assert found == cleaned, path


def test_version_3_tells_the_same_of_every_operation(own: Tree, third: dict[str, Tree]) -> None:
    seen = {path: methods for document in third.values() for path, methods in document["paths"].items()}
    assert seen.keys() == own["paths"].keys()
    for path, methods in own["paths"].items():
        others = {method: (operation, parameters) for method, operation, parameters in told(seen[path])}
        for method, operation, parameters in told(methods):
            other, given = others.pop(method)
            for key in ("operationId", "tags", "x-kubernetes-action", "x-kubernetes-group-version-kind"):
                assert operation.get(key) == other.get(key), (path, method, key)
            assert operation["responses"].keys() == other["responses"].keys()
            assert list(other["responses"]["200"]["content"]) == operation["produces"]
            body = [each for each in parameters if each["in"] == "body"]
            assert list(other.get("requestBody", {"content": ()})["content"]) == (
                operation["consumes"] if body else []
            ), (path, method)
            rest = [(each["name"], each["in"], each["type"]) for each in parameters if each["in"] != "body"]
            assert rest == [(each["name"], each["in"], each["schema"]["type"]) for each in given]
        assert not others


def test_names_of_operations_are_unique() -> None:
    names = [operation.name for operation in all_operations(SERVED)]
    assert len(names) == len(set(names))


def snake(name: str) -> str:
    """As the client's generator writes names."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z\d])([A-Z])", r"\1_\2", name).lower()


def client_method(operation: Operation) -> Any:
    """The Python client's method, whose name is the published operationId without group and version and whose class is
    the tag."""
    tag = "".join(word[:1].upper() + word[1:] for word in operation.tag.split("_"))
    name = operation.name.replace(tag, "", 1)
    module = importlib.import_module(f"kubernetes.client.api.{snake(operation.tag)}_api")
    return getattr(getattr(module, f"{tag}Api"), snake(name))


def test_the_python_client_has_a_method_for_every_operation() -> None:
    methods = {operation.name: client_method(operation) for operation in PRESENT}
    assert len(set(methods.values())) == len(methods) > 600


def test_deletions_answer_as_the_python_client_expects() -> None:
    """Its generator writes ``object`` for a deletion that answers with a Status, and the kind for the others."""
    for operation in PRESENT:
        if operation.action == "delete":
            assert operation.answer is not None
            returned = inspect.signature(client_method(operation)).return_annotation.__name__
            wanted = "object" if operation.answer[2] == "Status" else operation.answer[2]
            assert returned.endswith(wanted), operation


def needed(definitions: dict[str, Tree], roots: set[str]) -> set[str]:
    found: set[str] = set()
    while roots:
        name = roots.pop()
        if name not in found:
            found.add(name)
            roots |= {each.removeprefix("#/definitions/") for each in references(definitions[name])}
    return found


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(references(each) for each in value))
    return set()


def of_kinds(definitions: dict[str, Tree], paths: dict[str, Tree]) -> set[str]:
    """The definitions of every kind that a path is about, and of the lists of what can be listed."""
    kinds = set()
    for methods in paths.values():
        for operation in methods.values():
            if operation["gvk"] is None or operation["action"] == "connect":
                continue
            kind = (operation["gvk"]["group"], operation["gvk"]["version"], operation["gvk"]["kind"])
            kinds.add(kind)
            if operation["action"] == "list":
                kinds.add((*kind[:2], kind[2] + "List"))
    names = set()
    for name, tree in definitions.items():
        for row in tree.get("x-kubernetes-group-version-kind", ()):
            if (row["group"], row["version"], row["kind"]) in kinds and ".pkg.apis.meta." not in name:
                names.add(name)
    return names


META = {"APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "DeleteOptions", "Patch", "Status", "WatchEvent"}


def test_the_definitions_are_upstreams(own: Tree, definitions: dict[str, Tree], paths: dict[str, Tree]) -> None:
    roots = of_kinds(definitions, paths) | {"io.k8s.apimachinery.pkg.version.Info"}
    roots |= {f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}" for name in META}
    wanted = needed(definitions, roots)
    assert own["definitions"].keys() == wanted
    assert len(wanted) > 500


def test_every_definition_is_upstreams_to_the_last_field(own: Tree, definitions: dict[str, Tree]) -> None:
    for name, tree in own["definitions"].items():
        assert plain(tree) == plain(definitions[name]), name


def plain(tree: Any) -> Any:
    """Without descriptions, which are our own; in an order that means nothing."""
    if not isinstance(tree, dict):
        return tree
    kept = {key: plain(value) for key, value in tree.items() if key != "description" or not isinstance(value, str)}
    if "x-kubernetes-group-version-kind" in kept:
        kept["x-kubernetes-group-version-kind"] = sorted(
            map(sorted, map(dict.items, kept["x-kubernetes-group-version-kind"]))
        )
    return kept
