"""What the documents say of custom resources: the schemas of their definitions with what every object has.

Version 2 can say less, and clients of it take what is said for all there may be: places that hold anything, or nothing,
lose their members there. Source: apiextensions-apiserver, pkg/controller/openapi.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podkeeper.api.catalogue import Resource

Tree = dict[str, Any]
#: The published schema of one of the members that every object has, by its name.
Member = Callable[[str], Tree]

_PRESERVES, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
_ONLY_THIRD = ("allOf", "anyOf", "oneOf", "not", "nullable")
_EITHER = [{"type": "integer"}, {"type": "string"}]
_EVERY_OBJECT = ("apiVersion", "kind", "metadata")


def full_name(resource: Resource, kind: str) -> str:
    """``com.example.v1.CronTab`` for a kind of group example.com."""
    return ".".join((*reversed(resource.group.split(".")), resource.version, kind))


def object_schema(resource: Resource, member: Member, is_third: bool) -> Tree:
    """The definition of a resource's objects."""
    own = dict(resource.schema or {})
    if not is_third and own.get(_PRESERVES):
        tree: Tree = {"type": "object"}
    else:
        tree = _published(own, member, is_third)
        tree["properties"] = (tree.get("properties") or {}) | {name: member(name) for name in _EVERY_OBJECT}
    tree["x-kubernetes-group-version-kind"] = _subject(resource, resource.kind)
    if resource.selectable:
        tree["x-kubernetes-selectable-fields"] = [{"fieldPath": path.lstrip(".")} for path in resource.selectable]
    return tree


def list_schema(resource: Resource, items: Tree, member: Member, metadata: Tree) -> Tree:
    """The definition of its lists."""
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": member("apiVersion"),
            "items": {"description": f"List of {resource.name}.", "type": "array", "items": items},
            "kind": member("kind"),
            "metadata": metadata,
        },
        "x-kubernetes-group-version-kind": _subject(resource, resource.list_kind),
    }


def _subject(resource: Resource, kind: str) -> list[Tree]:
    return [{"group": resource.group, "kind": kind, "version": resource.version}]


def _published(schema: Mapping[str, Any], member: Member, is_third: bool) -> Tree:
    """A place of a schema as a document shows it; ``schema`` is not changed."""
    tree = dict(schema)
    if is_third:
        if tree.get(_INT_OR_STRING) and not tree.get("anyOf") and not tree.get("allOf"):
            tree["anyOf"] = _EITHER
    else:
        _to_second(tree)
    if tree.get("properties"):
        tree["properties"] = {name: _published(each, member, is_third) for name, each in tree["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(tree.get(name), dict):
            tree[name] = _published(tree[name], member, is_third)
    if tree.get("x-kubernetes-embedded-resource") and (is_third or not tree.get(_PRESERVES)):
        own = tree.get("properties") or {}
        tree["properties"] = own | {name: member(name) for name in _EVERY_OBJECT}
        tree["required"] = list(dict.fromkeys([*(tree.get("required") or ()), "apiVersion", "kind"]))
    return tree


def _to_second(tree: Tree) -> None:
    """Leaves out what version 2 has no words for."""
    nullable, preserves = tree.get("nullable"), tree.get(_PRESERVES)
    for name in _ONLY_THIRD:
        tree.pop(name, None)
    if nullable or preserves:
        for name in ("items", "properties", *(("type", "required") if nullable else ())):
            tree.pop(name, None)
    if isinstance(tree.get("additionalProperties"), bool):
        del tree["additionalProperties"]
    required = tree.get("required")
    if required:
        members = tree.get("properties") or {}
        tree["required"] = [name for name in required if not (members.get(name) or {}).get("nullable")]
