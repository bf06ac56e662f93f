"""Judges manifests as the API server does on create and update: defaults first, then types, then the rules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from podkeeper.api import codec, defaults, resources
from podkeeper.api.validation import validate_create, validate_update

Tree = dict[str, Any]
Mistakes = list[tuple[str, str]]


def changed(tree: Tree, path: str, value: Any) -> Tree:
    """A copy with the member at a dotted path set; numbers are places in lists. None takes the member out."""
    result = copy.deepcopy(tree)
    *steps, last = path.split(".")
    at: Any = result
    for step in steps:
        at = at[int(step)] if step.isdigit() else at.setdefault(step, {})
    if value is None:
        at.pop(last, None)
    else:
        at[int(last) if last.isdigit() else last] = value
    return result


def typed(tree: Tree) -> Any:
    """The row and the struct of a manifest with its defaults."""
    group, _, version = tree["apiVersion"].rpartition("/")
    row = resources.for_kind(group, version, tree["kind"])
    assert row is not None
    tree = copy.deepcopy(tree)
    if row.namespaced:
        tree["metadata"].setdefault("namespace", "n")
    defaults.apply(row, tree)
    return row, codec.from_tree(codec.struct_class(row), tree)


def shown(causes: Any) -> Mistakes:
    return [(cause.field, cause.message) for cause in causes]


@pytest.fixture
def on_create() -> Callable[..., Mistakes]:
    """The mistakes of a new manifest, changed at a path."""

    def judge(tree: Tree, path: str = "", value: Any = None) -> Mistakes:
        row, obj = typed(changed(tree, path, value) if path else tree)
        return shown(validate_create(row, {}, obj))

    return judge


@pytest.fixture
def on_update() -> Callable[..., Mistakes]:
    """The mistakes of a change of one member of a good manifest."""

    def judge(tree: Tree, path: str, value: Any, subresource: str = "") -> Mistakes:
        row, old = typed(tree)
        _, new = typed(changed(tree, path, value))
        return shown(validate_update(row, new, old, subresource))

    return judge
