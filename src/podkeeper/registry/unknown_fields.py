"""Whether a tree has fields that its type does not know: asked of every write, and nearly always answered no.

The answer is worked out with one plan per type; only a tree that does have some is walked again for their paths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from podkeeper.api.codec import unknown_fields
from podkeeper.api.shapes import Form, Node, fields_of

_Check = Callable[[Any], bool]


def paths(cls: type[msgspec.Struct], tree: Any) -> list[str]:
    """Paths of the unknown fields, such as ``spec.containers[0].imagex``."""
    return list(unknown_fields(cls, tree)) if _plan(cls)(tree) else []


@cache
def _plan(cls: type[msgspec.Struct]) -> _Check:
    known = frozenset(fields_of(cls))
    nodes = {name: node for name, node in fields_of(cls).items() if node is not None}
    nested = frozenset(nodes)
    # Types may contain themselves (JSONSchemaProps), so the members' plans are made when first met.
    members: dict[str, _Check] = {}

    def check(tree: Any) -> bool:
        if type(tree) is not dict:
            return False
        if not known.issuperset(tree):
            return True
        if nested.isdisjoint(tree):
            return False
        for name in nested.intersection(tree):
            member = members.get(name)
            if member is None:
                member = members[name] = _check_of(nodes[name])
            if member(tree[name]):
                return True
        return False

    return check


def _check_of(node: Node) -> _Check:
    if node.cls is not None:
        return _plan(node.cls)
    if node.member is None:
        return _nothing
    inner = _check_of(node.member)
    if node.form is Form.LIST:
        return lambda tree: isinstance(tree, list) and any(map(inner, tree))
    return lambda tree: isinstance(tree, dict) and any(map(inner, tree.values()))


def _nothing(tree: Any) -> bool:
    return False
