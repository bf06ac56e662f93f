"""Structural schemas: what the definition of a custom resource says about its objects.

``parse`` takes the tree of an ``openAPIV3Schema``. Everything about one place is in its node, also what stands in
``allOf``, ``anyOf``, ``oneOf`` and ``not`` below it, which only judge and never prune or default.

Source: Kubernetes reference, Custom Resources, "Specifying a structural schema"; KEP-20190425.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

Tree = dict[str, Any]

_MISSING = object()


class Schema(Struct, frozen=True, eq=False):
    """One place. ``type`` is empty where anything may stand; ``tree`` is the schema as it was given.

    ``values`` is the schema of additionalProperties: None where it is not given (or false), a schema without a type for
    ``true``.
    """

    type: str
    tree: Tree
    properties: Mapping[str, Schema] = field(default_factory=dict)
    values: Schema | None = None
    items: Schema | None = None
    preserves: bool = False
    embedded: bool = False
    int_or_string: bool = False
    nullable: bool = False
    list_type: str = "atomic"
    map_keys: tuple[str, ...] = ()
    atomic_map: bool = False
    #: Compiled, with ``search`` as Python's.
    pattern: Any = None
    all_of: tuple[Schema, ...] = ()
    any_of: tuple[Schema, ...] = ()
    one_of: tuple[Schema, ...] = ()
    not_: Schema | None = None
    #: Rules in CEL.
    rules: tuple[Tree, ...] = ()
    #: Whether rules stand here or anywhere below, allOf included.
    has_rules: bool = False
    #: Whether a default stands here or anywhere below; walks skip what has none.
    has_defaults: bool = False
    #: Whether an embedded object, or a list that is a set or a map, stands here or anywhere below.
    has_places: bool = False

    @property
    def has_default(self) -> bool:
        """Whether this very place has a default."""
        return "default" in self.tree

    def child(self, name: str) -> Schema | None:
        """The schema of a member of an object; None for one that is not specified."""
        return self.properties.get(name, self.values)


def parse(tree: Any) -> Schema:
    """The schema of a tree, which definitions' validation has accepted."""
    tree = tree if isinstance(tree, dict) else {}
    properties = {name: parse(each) for name, each in (tree.get("properties") or {}).items()}
    values = _values(tree.get("additionalProperties"))
    items = parse(tree["items"]) if isinstance(tree.get("items"), dict) else None
    below = (*properties.values(), *filter(None, (values, items)))
    rules = tuple(tree.get("x-kubernetes-validations") or ())
    all_of = tuple(parse(each) for each in tree.get("allOf") or ())
    return Schema(
        type=tree.get("type") or "",
        tree=tree,
        properties=properties,
        values=values,
        items=items,
        preserves=bool(tree.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(tree.get("x-kubernetes-embedded-resource")),
        int_or_string=bool(tree.get("x-kubernetes-int-or-string")),
        nullable=bool(tree.get("nullable")),
        list_type=tree.get("x-kubernetes-list-type") or "atomic",
        map_keys=tuple(tree.get("x-kubernetes-list-map-keys") or ()),
        atomic_map=tree.get("x-kubernetes-map-type") == "atomic",
        pattern=_pattern(tree.get("pattern")),
        all_of=all_of,
        any_of=tuple(parse(each) for each in tree.get("anyOf") or ()),
        one_of=tuple(parse(each) for each in tree.get("oneOf") or ()),
        not_=parse(tree["not"]) if tree.get("not") else None,
        rules=rules,
        has_rules=bool(rules) or any(each.has_rules for each in (*below, *all_of)),
        has_defaults="default" in tree or any(each.has_defaults for each in below),
        has_places=bool(tree.get("x-kubernetes-embedded-resource"))
        or tree.get("x-kubernetes-list-type") in ("set", "map")
        or any(each.has_places for each in below),
    )


def _values(given: Any) -> Schema | None:
    if isinstance(given, dict):
        return parse(given)
    return Schema("", {}, preserves=True) if given is True else None


def _pattern(text: str | None) -> Any:
    """A pattern in Go's syntax, which is RE2's; None where there is none."""
    if not text:
        return None
    # Loaded by those whose schemas have patterns.
    from podkeeper.api.cel.patterns import compiled

    return compiled(text)
