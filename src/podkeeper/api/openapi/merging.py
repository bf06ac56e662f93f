"""Version 2 documents of several servers made one: each gives what stands below its own path.

Source: k8s.io/kube-openapi, pkg/aggregator.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from podkeeper.api.openapi.schemas import V2_PREFIX

Tree = dict[str, Any]

_PARAMETERS = "#/parameters/"
_KINDS = "x-kubernetes-group-version-kind"


def below(document: Mapping[str, Any], prefix: str) -> Tree:
    """The part of a document whose paths begin so, with the definitions that it needs. Raises what a document that is
    none leads to: AttributeError, KeyError, TypeError."""
    shared = document.get("parameters") or {}
    paths = {path: _inlined(tree, shared) for path, tree in document["paths"].items() if path.startswith(prefix)}
    known = document.get("definitions") or {}
    needed: Tree = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name not in needed and name in known:
            needed[name] = known[name]
            waiting.extend(_references(known[name]))
    return {"paths": paths, "definitions": needed}


def _inlined(tree: Any, shared: Mapping[str, Any]) -> Any:
    """A path's tree with the parameters that it refers to."""
    if isinstance(tree, list):
        return [_inlined(each, shared) for each in tree]
    if not isinstance(tree, dict):
        return tree
    reference = tree.get("$ref")
    if isinstance(reference, str) and reference.startswith(_PARAMETERS):
        return shared[reference.removeprefix(_PARAMETERS)]
    return {name: _inlined(each, shared) for name, each in tree.items()}


def merged(document: Mapping[str, Any], part: Mapping[str, Any]) -> Tree:
    """A document with a ``below`` of another. Definitions of one name that differ stay apart: the other's gets a new
    one, such as ``..._v2``."""
    own: Tree = dict(document["definitions"])
    names = {name: _name_for(name, tree, own, part["definitions"]) for name, tree in part["definitions"].items()}
    renamed = {name: new for name, new in names.items() if new != name}
    if renamed:
        part = _with_names(part, renamed)
    for name, tree in part["definitions"].items():
        name = renamed.get(name, name)
        own[name] = _with_kinds(own[name], tree) if name in own else tree
    return {
        **document,
        "paths": dict(sorted((part["paths"] | document["paths"]).items())),
        "definitions": dict(sorted(own.items())),
    }


def _name_for(name: str, tree: Tree, own: Tree, others: Tree) -> str:
    if name not in own or _same(own[name], tree):
        return name
    number = 2
    while (new := f"{name}_v{number}") in own or new in others:
        if new in own and _same(own[new], tree):
            return new
        number += 1
    return new


def _same(left: Tree, right: Tree) -> bool:
    """Whether two definitions say the same, kinds apart."""
    return {**left, _KINDS: None} == {**right, _KINDS: None}


def _with_kinds(tree: Tree, other: Tree) -> Tree:
    kinds = [*(tree.get(_KINDS) or ()), *(each for each in other.get(_KINDS) or () if each not in tree.get(_KINDS, ()))]
    return {**tree, _KINDS: kinds} if kinds else tree


def _references(tree: Any) -> Iterable[str]:
    if isinstance(tree, dict):
        reference = tree.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(V2_PREFIX)
        for each in tree.values():
            yield from _references(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from _references(each)


def _with_names(part: Mapping[str, Any], renamed: Mapping[str, str]) -> Tree:
    def look(tree: Tree) -> Tree:
        name = str(tree.get("$ref", "")).removeprefix(V2_PREFIX)
        return {**tree, "$ref": V2_PREFIX + renamed[name]} if name in renamed else tree

    changed: Tree = json.loads(json.dumps(part), object_hook=look)
    return changed
