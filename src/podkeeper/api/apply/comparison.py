"""Which fields a tree has, and in which two trees differ, as sets of fields.

Null stands for absence, as everywhere in trees of the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from podkeeper.api.apply import elements
from podkeeper.api.apply.fieldsets import LEAF, SELF, FieldSet, as_member, packed
from podkeeper.api.apply.nodes import ANY, Node

Tree = dict[str, Any]


class Comparison(NamedTuple):
    """Fields that only the new tree has, that only the old one has, and that both have with other values."""

    added: FieldSet
    removed: FieldSet
    modified: FieldSet


class UndeclaredField(ValueError):
    """A tree has a field that its type has not, or a member that has no key. ``args[0]`` is the path and why."""


def fields_of(tree: Tree, node: Node) -> FieldSet:
    """The fields that a tree mentions: its leaves, the keys of its maps and the members of its lists.

    Raises UndeclaredField, which tells of every map that has such a field.
    """
    try:
        return _fields_of(tree, node, ())
    except UndeclaredField as first:
        found = list(dict.fromkeys(_mistakes(tree, node, ())))
        raise UndeclaredField(found[0] if len(found) == 1 else "\n  ".join(("errors:", *found))) from first


def _mistakes(value: Any, node: Node, path: tuple[str, ...]) -> Iterator[str]:
    """What is without a key, and undeclared: of several in one map, one."""
    if not value or node.atomic or not is_granular(value, node):
        return
    if isinstance(value, list):
        try:
            found = members(value, node, path)
        except UndeclaredField as error:
            yield str(error)
            return
        for element, items in found.items():
            yield from _mistakes(items[0], node.member or ANY, (*path, element))
        return
    undeclared = [name for name in value if node.child(name) is None]
    for name, below in value.items():
        child = node.child(name)
        if child is not None:
            yield from _mistakes(below, child, (*path, f"f:{name}"))
    if undeclared:
        yield _undeclared((*path, f"f:{undeclared[0]}"))


def _undeclared(path: tuple[str, ...]) -> str:
    return f"{elements.shown(path)}: field not declared in schema"


def _fields_of(value: Any, node: Node, path: tuple[str, ...]) -> FieldSet:
    if not value or node.atomic or not is_granular(value, node):
        return {}
    found: FieldSet = {}
    if isinstance(value, list):
        for element, items in members(value, node, path).items():
            member = node.member or ANY
            found[element] = as_member(_fields_of(items[0], member, (*path, element)))
        return found
    for name, below in value.items():
        element = f"f:{name}"
        child = node.child(name)
        if child is None:
            raise UndeclaredField(_undeclared((*path, element)))
        fields = _fields_of(below, child, (*path, element))
        found[element] = fields if node.form == "struct" else as_member(fields)
    return found


def is_granular(value: Any, node: Node) -> bool:
    if isinstance(value, dict):
        return node.form in ("struct", "map", "any")
    return isinstance(value, list) and node.form == "list"


def members(items: list[Any], node: Node, path: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """The members of a list by their element; more than one where keys are not unique."""
    found: dict[str, list[Any]] = {}
    try:
        for item in items:
            found.setdefault(elements.of_member(item, node), []).append(item)
    except elements.UnkeyedMember as error:
        raise UndeclaredField(f"{elements.shown(path)}: {error}") from error
    return found


def compare(old: Tree, new: Tree, node: Node) -> Comparison:
    """What differs. Objects that are there on one side only count as fields too, not just their leaves.

    The sets' elements are in order.
    """
    changes = _compare(old, new, node)
    return Comparison(*(each or {} for each in changes))


_Changes = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
_NOTHING: _Changes = (None, None, None)
_MODIFIED: _Changes = (None, None, {})
_CONTAINERS = frozenset({dict, list})


def _compare(old: Any, new: Any, node: Node) -> _Changes:
    if old == new and type(old) is type(new):
        return _NOTHING
    if node.omit_empty:
        old, new = old or None, new or None
        if old is new:
            return _NOTHING
    elif node.by_value and not (old and new):
        empty: Any = [] if node.form == "list" else {}
        old, new = old or empty, new or empty
    if old is None or new is None:
        return (_everything(new, node), None, None) if old is None else (None, _everything(old, node), None)
    if node.atomic or not (is_granular(old, node) and is_granular(new, node)) or type(old) is not type(new):
        return _MODIFIED
    if old:
        return _compare_parts(old, new, node)
    # Of a new object most parts are compared with nothing, and many objects have the same.
    key = (msgspec.json.encode(new),)
    changes: _Changes = node.known(key) or node.remember(key, _compare_parts(old, new, node))
    return changes


def _compare_parts(old: Any, new: Any, node: Node) -> _Changes:
    found: tuple[FieldSet, FieldSet, FieldSet] = ({}, {}, {})
    if isinstance(old, list):
        _compare_members(members(old, node), members(new, node), node.member or ANY, found)
    else:
        for name in sorted(old.keys() | new.keys()):
            before, after = old.get(name), new.get(name)
            child = node.child(name)
            if child is not None and before is not after:
                _note(found, f"f:{name}", _compare(before, after, child))
    added, removed, modified = (each or None for each in found)
    return added, removed, modified


def _compare_members(
    old: dict[str, list[Any]], new: dict[str, list[Any]], member: Node, found: tuple[FieldSet, FieldSet, FieldSet]
) -> None:
    for element in sorted(old.keys() | new.keys()):
        before, after = old.get(element), new.get(element)
        if before is None and after is not None:
            found[0][element] = as_member(_everything(after[0], member))
        elif after is None and before is not None:
            found[1][element] = as_member(_everything(before[0], member))
        elif before is not None and after is not None:
            if len(before) > 1 or len(after) > 1:
                _note(found, element, _MODIFIED if before != after else _NOTHING)
            else:
                _note(found, element, _compare(before[0], after[0], member))


def _note(found: tuple[FieldSet, FieldSet, FieldSet], element: str, changes: _Changes) -> None:
    for fields, change in zip(found, changes, strict=True):
        if change is not None:
            fields[element] = change


def _everything(value: Any, node: Node) -> FieldSet:
    """Every place in a value, itself included. The set may be shared with that of other values.

    Objects that are made of one template have the same parts, and parts that hold leaves alone are of a few shapes:
    their sets are worked out once.
    """
    if not value or node.atomic or not is_granular(value, node):
        return LEAF
    is_flat = isinstance(value, dict) and _CONTAINERS.isdisjoint(map(type, value.values()))
    key = tuple(value) if is_flat else msgspec.json.encode(value)
    found: FieldSet = node.known(key) or node.remember(key, _places_in(value, node))
    return found


def _places_in(value: Any, node: Node) -> FieldSet:
    found: FieldSet = {SELF: LEAF}
    if isinstance(value, list):
        member = node.member or ANY
        return found | {
            element: _everything(items[0], member) for element, items in sorted(members(value, node).items())
        }
    for name in sorted(value.keys() | node.always) if node.always else sorted(value):
        inner, child = value.get(name), node.child(name)
        if child is None or (not inner and child.omit_empty):
            continue
        found[f"f:{name}"] = _everything(inner, child) if isinstance(inner, dict | list) else LEAF
    return packed(found)
