"""Sets of fields, in the very form in which ``metadata.managedFields`` keeps them (FieldsV1).

A set is a tree of path elements: ``f:name`` a field, ``k:{...}`` the member of a list with these keys, ``v:...`` the
member of a set of scalars. An empty node is a member; a node with nodes below it is one only if it holds ``.``::

    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}     # the labels as such, and the label app

The empty set is ``{}``. No function changes what it is given; results may share nodes with their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

FieldSet = dict[str, Any]
Path = tuple[str, ...]

SELF = "."
#: A member without anything below it.
LEAF: FieldSet = {}
_MEMBER: FieldSet = {SELF: LEAF}


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in either."""
    if not left or not right:
        return left or right
    result = dict(left)
    for element, below in right.items():
        mine = result.get(element)
        if mine is None:
            result[element] = below
        elif element != SELF and mine != below:
            result[element] = packed(union(mine or _MEMBER, below or _MEMBER))
    return result


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in ``left`` alone."""
    if not right:
        return left
    return _selected(left, right, difference, keep_missing=True)


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in both."""
    return _selected(left, right, intersection, keep_missing=False)


def _selected(
    left: FieldSet, right: FieldSet, operation: Callable[[FieldSet, FieldSet], FieldSet], keep_missing: bool
) -> FieldSet:
    result: FieldSet = {}
    for element, below in left.items():
        other = right.get(element)
        if other is None:
            if keep_missing:
                result[element] = below
        elif element == SELF:
            if not keep_missing:
                result[element] = below
        else:
            rest = operation(below or _MEMBER, other or _MEMBER)
            if rest:
                result[element] = packed(rest)
    return result


def is_member(node: FieldSet) -> bool:
    """Whether the node itself is in the set, not only what is below it."""
    return not node or SELF in node


def as_member(node: FieldSet) -> FieldSet:
    """The node with itself in the set."""
    return node if is_member(node) else _MEMBER | node


def packed(node: FieldSet) -> FieldSet:
    """A node in the shortest form."""
    return {} if node == _MEMBER else node


def paths(fields: FieldSet) -> Iterator[Path]:
    """Every member's path, in order."""
    for element, below in sorted(fields.items()):
        if element == SELF:
            continue
        if is_member(below):
            yield (element,)
        for rest in paths(below):
            yield (element, *rest)


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with its elements sorted, as it is stored."""
    return {element: ordered(below) if below else LEAF for element, below in sorted(fields.items())}
