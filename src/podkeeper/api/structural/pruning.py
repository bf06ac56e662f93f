"""What a custom object may not have is taken out of it: fields that its schema does not specify.

Source: Kubernetes reference, Custom Resources, "Field pruning".
"""

from __future__ import annotations

from typing import Any

from podkeeper.api import schema as builtin
from podkeeper.api.structural.schema import Schema

Tree = dict[str, Any]

_OBJECT = ("apiVersion", "kind", "metadata")


def prune(tree: Any, schema: Schema, whole: bool = True) -> list[str]:
    """Takes unspecified fields out of an object, in place. Returns their paths (``spec.foo``), sorted.

    Without ``whole`` it is a part of an object, with no metadata of its own."""
    dropped: list[str] = []
    _prune(tree, schema, "", dropped, whole)
    return sorted(dropped)


def _prune(value: Any, schema: Schema | None, at: str, dropped: list[str], whole: bool = False) -> None:
    if isinstance(value, list):
        if schema is not None and schema.items is not None:
            for index, item in enumerate(value):
                _prune(item, schema.items, f"{at}[{index}]", dropped)
        return
    if not isinstance(value, dict) or schema is None:
        return
    whole = whole or schema.embedded
    for name in list(value):
        path = f"{at}.{name}" if at else name
        if whole and name in _OBJECT:
            if name == "metadata":
                _prune_metadata(value[name], path, dropped)
            continue
        child = schema.child(name)
        if child is not None:
            _prune(value[name], child, path, dropped)
        elif not schema.preserves:
            del value[name]
            dropped.append(path)


def _prune_metadata(metadata: Any, at: str, dropped: list[str]) -> None:
    """Metadata has the fields of every object's."""
    if not isinstance(metadata, dict):
        return
    known = builtin.named("meta/v1.ObjectMeta").properties
    for name in list(metadata):
        if name not in known:
            del metadata[name]
            dropped.append(f"{at}.{name}")
