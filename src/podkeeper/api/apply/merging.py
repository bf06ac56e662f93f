"""Two trees into one, and a tree without some of its fields.

Trees are not changed; results may share parts with them.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api.apply import elements
from podkeeper.api.apply.comparison import is_granular, members
from podkeeper.api.apply.fieldsets import SELF, FieldSet, as_member, is_member
from podkeeper.api.apply.nodes import ANY, Node

Tree = dict[str, Any]


def merge(live: Any, applied: Any, node: Node) -> Any:
    """``live`` with everything that ``applied`` mentions as it stands there."""
    if applied is None:
        return live
    if live is None or node.atomic or type(live) is not type(applied) or not is_granular(applied, node):
        return applied
    if isinstance(applied, list):
        return _merge_members(live, applied, node)
    if not live:
        return applied
    result = dict(live)
    for name, value in applied.items():
        result[name] = merge(live.get(name), value, node.child(name) or ANY)
    return result


def _merge_members(live: list[Any], applied: list[Any], node: Node) -> list[Any]:
    """Applied members keep their order, the others their place between those that both have."""
    ours, theirs = members(live, node), members(applied, node)
    pending = list(theirs)
    result: list[Any] = []

    def take_applied(until: str | None) -> None:
        while pending:
            element = pending.pop(0)
            item = theirs[element][0]
            known = ours.get(element)
            result.append(merge(known[0], item, node.member or ANY) if known else item)
            if element == until:
                return

    for element, items in ours.items():
        if element not in theirs:
            result.extend(items)
        elif element in pending:
            take_applied(element)
    take_applied(None)
    return result


def without(tree: Any, fields: FieldSet, node: Node) -> Any:
    """A tree without the members of a set; what becomes empty goes too (None when that is all)."""
    if not tree or node.atomic or not is_granular(tree, node):
        return tree
    if isinstance(tree, list):
        return _members_without(tree, fields, node) or None
    result: Tree = {}
    for name, value in tree.items():
        below = fields.get(f"f:{name}")
        if below is None:
            result[name] = value
        elif not is_member(below):
            rest = without(value, below, node.child(name) or ANY)
            if rest is not None:
                result[name] = rest
    return result or None


def _members_without(items: list[Any], fields: FieldSet, node: Node) -> list[Any]:
    result = []
    for item in items:
        below = fields.get(elements.of_member(item, node))
        if below is None:
            result.append(item)
        elif not is_member(below):
            result.append(without(item, below, node.member or ANY))
    return result


def with_named_fields(fields: FieldSet, node: Node | None) -> FieldSet:
    """The set with the structs on the way to its members, which sets do not usually name."""
    if node is None:
        return fields
    result: FieldSet = {}
    for element, below in fields.items():
        if element == SELF or not below:
            result[element] = below
            continue
        child = node.child(element[2:]) if element.startswith("f:") else node.member
        deeper = with_named_fields(below, child)
        named = node.form == "struct" and element.startswith("f:") and child is not None
        result[element] = as_member(deeper) if named else deeper
    return result
