"""What the expressions of a MutatingAdmissionPolicy make of an object: they give a part of it, or a JSON patch.

Source: Kubernetes reference, Mutating Admission Policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api import schema
from podkeeper.api.apply import nodes
from podkeeper.api.apply.merging import merge
from podkeeper.api.apply.nodes import ANY, Node
from podkeeper.api.cel.admission import JSON_PATCH, OBJECT, patching_environment_of
from podkeeper.api.cel.values import MAPS, MISSING, find
from podkeeper.api.cel.views import tree_of
from podkeeper.api.errors import ApiError
from podkeeper.api.patches import json_patch
from podkeeper.apiserver.admission import expressions
from podkeeper.apiserver.admission.expressions import Compiled, Conditions, Variables
from podkeeper.apiserver.admission.policies.definitions import Tree
from podkeeper.apiserver.admission.versioned import VersionedWrite
from podkeeper.apiserver.live import LiveObjects


class MutationFailed(Exception):
    """A policy that cannot change the write."""


class Program(Struct, frozen=True):
    """The expressions of a policy. A mutation is its expression, and whether that gives a JSON patch."""

    conditions: Conditions
    variables: Mapping[str, Compiled]
    mutations: Sequence[tuple[Compiled, bool]]
    reinvoked: bool


def compile_policy(spec: Tree) -> Program:
    """The program of a MutatingAdmissionPolicy's spec."""
    has_params = bool(spec.get("paramKind"))
    texts = [(each["name"], each["expression"]) for each in spec.get("variables") or ()]
    variables, composed = expressions.compose(
        texts, lambda known: patching_environment_of(Variables(has_params, composed=known))
    )
    environment = patching_environment_of(Variables(has_params, composed=composed))
    conditions = [(each["name"], each["expression"]) for each in spec.get("matchConditions") or ()]

    def mutation(tree: Tree) -> tuple[Compiled, bool]:
        patches = tree.get("patchType") == "JSONPatch"
        text = (tree.get("jsonPatch" if patches else "applyConfiguration") or {}).get("expression") or ""
        wanted = JSON_PATCH if patches else OBJECT
        return expressions.compile_text(text, environment, wanted), patches

    return Program(
        Conditions(conditions, expressions.environment_of(Variables(has_params))),
        variables,
        [mutation(each) for each in spec.get("mutations") or ()],
        spec.get("reinvocationPolicy") == "IfNeeded",
    )


def patched(write: VersionedWrite, value: Any) -> dict[str, Any]:
    """A patch of which a test fails changes nothing."""
    steps = [_step(each) for each in value]
    try:
        result: dict[str, Any] = json_patch.apply(write.tree, steps)
    except ApiError as error:
        if any(step["op"] == "test" for step in steps) and "test" in str(error).lower():
            return write.tree or {}
        raise MutationFailed(f"JSONPath: {error}") from error
    return result


def merged(write: VersionedWrite, value: Any, live: LiveObjects) -> dict[str, Any]:
    tree, node = tree_of(value), _node(write, live)
    atomic = list(atomics(tree, node))
    if atomic:
        what = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise MutationFailed(f"error applying patch: invalid ApplyConfiguration: {what}")
    result: dict[str, Any] = merge(write.tree, tree, node)
    return result


def _node(write: VersionedWrite, live: LiveObjects) -> Node:
    """How the object's fields merge: by the kind's own schema."""
    kind = schema.for_kind(*write.kind)
    if kind is not None:
        return nodes.of_type(kind)
    row = write.resource
    verbs = live.registry.verbs(row.group, row.version, row.name)
    version = getattr(getattr(verbs, "kind", None), "version", None)
    return nodes.of_structural(version.schema) if version is not None else ANY


def _step(value: Any) -> dict[str, Any]:
    """One operation of a patch that an expression has built."""
    if not isinstance(value, MAPS):
        raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
    found = {name: find(value, name) for name in ("op", "path", "from", "value")}
    return {name: tree_of(each) for name, each in found.items() if each is not MISSING}


def atomics(tree: Any, node: Node, path: str = "") -> Iterator[str]:
    """Paths of what can only be replaced as a whole: a policy would remove what it does not mention."""
    if isinstance(tree, dict):
        if node.atomic:
            yield path
        for name, value in tree.items():
            child = node.child(name)
            if child is not None:
                yield from atomics(value, child, f"{path}.{name}")
    elif isinstance(tree, list):
        if node.atomic:
            yield path
        for index, value in enumerate(tree):
            if node.member is not None:
                yield from atomics(value, node.member, f"{path}[{index}]")
