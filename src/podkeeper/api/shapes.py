"""What the struct classes are made of, for walking a plain JSON tree beside its type.

A shape is ``None`` for a leaf (a scalar, or free-form JSON that is nobody's business), or a ``Node``. Shapes are worked
out once per class from its annotations.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from podkeeper.api.meta.scalars import MicroTime, Time
from podkeeper.api.timestamps import canonical


class Form(Enum):
    """How the children of a node hang below it."""

    STRUCT = "struct"
    LIST = "list"
    MAP = "map"
    TIME = "time"
    MICRO_TIME = "micro time"


class Node(Struct, frozen=True):
    """A struct of class ``cls``, a list or map whose members all have shape ``member``, or a time.

    ``zero`` is what Go makes of a JSON null in the place of a member: the zero value of the member's type."""

    form: Form
    cls: type[msgspec.Struct] | None = None
    member: Node | None = None
    zero: Any = None


@cache
def fields_of(cls: type[msgspec.Struct]) -> Mapping[str, Node | None]:
    """The shape of every field of a struct class, by wire name."""
    return {each.encode_name: shape_of(each.type) for each in msgspec.structs.fields(cls)}


def shape_of(annotation: Any) -> Node | None:
    """The shape that an annotation of a field describes."""
    for form, time in ((Form.TIME, Time), (Form.MICRO_TIME, MicroTime)):
        if annotation == time or (_is_optional(annotation) and time in get_args(annotation)):
            return Node(form)
    plain = _without_optional(annotation)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return Node(Form.STRUCT, cls=plain)
    origin, arguments = get_origin(plain), get_args(plain)
    if origin is tuple:
        return Node(Form.LIST, member=shape_of(arguments[0]), zero=_zero(arguments[0]))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return Node(Form.MAP, member=shape_of(arguments[1]), zero=_zero(arguments[1]))
    return None


def unknown_fields(kind: type[msgspec.Struct], tree: Any) -> Iterator[str]:
    """Paths of the fields in ``tree`` that the kind has not, e.g. ``spec.containers[0].imagex``, in the tree's order.

    Parts of the tree of another type than the kind's are passed over: they are decoding errors, not unknown fields.
    However deeply the tree is nested, the walk needs no deeper call stack."""
    pending: list[_Visit] = [(Node(Form.STRUCT, cls=kind), tree, "")]
    while pending:
        node, value, path = pending.pop()
        if node is None:
            yield path
        else:
            pending.extend(reversed(_visits_below(node, value, path)))


_Visit = tuple[Node | None, Any, str]  # a shape with its value and path; no shape marks a field that is unknown


def _visits_below(node: Node, tree: Any, path: str) -> list[_Visit]:
    member = node.member
    if node.form is Form.LIST and isinstance(tree, list) and member:
        return [(member, each, f"{path}[{index}]") for index, each in enumerate(tree)]
    if node.form is Form.MAP and isinstance(tree, dict) and member:
        return [(member, each, _join(path, key)) for key, each in tree.items()]
    if node.cls and isinstance(tree, dict):
        fields = fields_of(node.cls)
        return [
            (fields.get(key), value, _join(path, key))
            for key, value in tree.items()
            if key not in fields or fields[key] is not None
        ]
    return []


def without_nulls(kind: type[msgspec.Struct], tree: Any) -> Any:
    """A copy of ``tree`` in which null means what it means to Go: an absent field, a zero value as a member of a list
    or map, and null inside free-form JSON. Times stand there as Go writes them."""
    return _without_nulls(Node(Form.STRUCT, cls=kind), tree)


def _without_nulls(node: Node | None, tree: Any) -> Any:
    if node is None:
        return tree
    if node.cls and isinstance(tree, dict):
        fields = fields_of(node.cls)
        return {key: _without_nulls(fields.get(key), value) for key, value in tree.items() if value is not None}
    if node.form is Form.LIST and isinstance(tree, list):
        return [node.zero if each is None else _without_nulls(node.member, each) for each in tree]
    if node.form is Form.MAP and isinstance(tree, dict):
        return {key: node.zero if each is None else _without_nulls(node.member, each) for key, each in tree.items()}
    if node.form in (Form.TIME, Form.MICRO_TIME) and isinstance(tree, str):
        return canonical(tree, node.form is Form.MICRO_TIME)
    return tree


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _without_optional(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if _is_optional(annotation):
        kept = [each for each in get_args(annotation) if each is not type(None)]
        return _without_optional(kept[0]) if len(kept) == 1 else annotation
    return annotation


def _is_optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _zero(annotation: Any) -> Any:
    """The tree of Go's zero value of a list's or map's member."""
    if annotation == Time:
        return "0001-01-01T00:00:00Z"
    plain = _without_optional(annotation)
    if plain in (str, int, float, bool):
        return plain()
    shape = shape_of(plain)
    if shape is not None:
        return [] if shape.form is Form.LIST else {}
    return "0" if isinstance(plain, type) else None
