"""What schemas of custom resources say of how lists and maps are merged: ``x-kubernetes-list-type`` and its like.

Source: apiextensions-apiserver, pkg/apis/apiextensions/validation.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api.validation.fields import Found

Tree = dict[str, Any]

_LIST_TYPE, _MAP_TYPE, _KEYS = "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-list-map-keys"
_LIST_TYPES, _MAP_TYPES = ("atomic", "set", "map"), ("atomic", "granular")
_IN_SET = "must be atomic as item of a list with x-kubernetes-list-type=set"
_IS_KEY = "this property is in x-kubernetes-list-map-keys, so it"


def lists_and_maps(found: Found, at: str, schema: Tree) -> None:
    """One place of a schema, as a plain tree."""
    list_type, map_type = schema.get(_LIST_TYPE), schema.get(_MAP_TYPE)
    if map_type is not None:
        _typed(found, at, schema, "object", _MAP_TYPE)
        if map_type not in _MAP_TYPES:
            found.unsupported(f"{at}.{_MAP_TYPE}", map_type, _MAP_TYPES)
    if list_type is not None:
        _typed(found, at, schema, "array", _LIST_TYPE)
        if list_type not in _LIST_TYPES:
            found.unsupported(f"{at}.{_LIST_TYPE}", list_type, _LIST_TYPES)
    if schema.get(_KEYS) and list_type != "map":
        why = f"must be map if {_KEYS} is non-empty"
        if list_type is None:
            found.required(f"{at}.{_LIST_TYPE}", why)
        else:
            found.invalid(f"{at}.{_LIST_TYPE}", list_type, why)
    items = schema.get("items")
    if list_type in ("set", "map") and isinstance(items, dict):
        if items.get("nullable"):
            found.forbidden(f"{at}.items.nullable", f"cannot be nullable when {_LIST_TYPE} is {list_type}")
        (_map_items if list_type == "map" else _set_items)(found, at, schema, items)
    elif list_type == "map":
        if not schema.get(_KEYS):
            found.required(f"{at}.{_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
        if items is None:
            found.required(f"{at}.items", f"must have a schema if {_LIST_TYPE} is map")
        else:
            found.invalid(f"{at}.items", items, f"must only have a single schema if {_LIST_TYPE} is map")


def _typed(found: Found, at: str, schema: Tree, wanted: str, because: str) -> None:
    kind, why = schema.get("type"), f"must be {wanted} if {because} is specified"
    if not kind:
        found.required(f"{at}.type", why)
    elif kind != wanted:
        found.invalid(f"{at}.type", kind, why)


def _set_items(found: Found, at: str, schema: Tree, items: Tree) -> None:
    inner = items.get(_LIST_TYPE)
    if items.get("type") == "array" and inner not in (None, "atomic"):
        found.invalid(f"{at}.items.{_LIST_TYPE}", inner, _IN_SET)
    if items.get("type") == "object" and items.get(_MAP_TYPE) != "atomic":
        found.invalid(f"{at}.items.{_MAP_TYPE}", inner, _IN_SET)


def _map_items(found: Found, at: str, schema: Tree, items: Tree) -> None:
    keys = schema.get(_KEYS) or ()
    if not keys:
        found.required(f"{at}.{_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
    if items.get("type") != "object":
        why = f"must be object if parent array's {_LIST_TYPE} is map"
        found.invalid(f"{at}.items.type", items.get("type") or "", why)
        return
    properties, required = items.get("properties") or {}, items.get("required") or ()
    for key in keys:
        if key not in properties:
            found.invalid(f"{at}.{_KEYS}", keys, "entries must all be names of item properties")
            continue
        place, part = f"{at}.items.properties[{key}]", properties[key]
        if part.get("type") in ("array", "object"):
            found.invalid(f"{place}.type", "object", f"must be a scalar type if parent array's {_LIST_TYPE} is map")
        if key not in required and "default" not in part:
            found.required(f"{place}.default", f"{_IS_KEY} must have a default or be a required property")
        if part.get("nullable"):
            found.forbidden(f"{place}.nullable", f"{_IS_KEY} cannot be nullable")
    if len(set(keys)) < len(keys):
        found.invalid(f"{at}.{_KEYS}", keys, "must not contain duplicate entries")
