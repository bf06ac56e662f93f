"""Path elements: how the members of lists are named in sets of fields, and how people read paths.

Source: Kubernetes KEP-555 and the FieldsV1 reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from podkeeper.api.apply.fieldsets import Path
    from podkeeper.api.apply.nodes import Node


class UnkeyedMember(ValueError):
    """A list's member that cannot be told from the others. ``args[0]`` says why, in upstream's words."""


def of_member(item: Any, node: Node) -> str:
    """The element of a member of a list that is a map or a set. Raises UnkeyedMember."""
    if not node.keys:
        return "v:" + text(_scalar(item))
    if not isinstance(item, dict):
        raise UnkeyedMember("associative list with keys may not have non-map elements")
    if len(node.keys) == 1 and type(value := item.get(node.keys[0])) is str:
        return node.known(value) or node.remember(value, "k:" + text({node.keys[0]: value}))  # type: ignore[no-any-return]
    return "k:" + text({key: _key(item, key, node) for key in sorted(node.keys)})


def _scalar(item: Any) -> Any:
    if isinstance(item, dict | list):
        raise UnkeyedMember("associative list without keys has an element that's an explicit null or no scalar")
    return item


def _key(item: dict[str, Any], key: str, node: Node) -> Any:
    value = item.get(key)
    if value is None:
        value = node.key_defaults.get(key)
    if value is None and not any(item.get(other) is not None for other in node.keys):
        raise UnkeyedMember(f'associative list with keys has an element that omits key field "{key}"')
    return value


def text(value: Any) -> str:
    """A scalar or the keys of a member as compact JSON."""
    return msgspec.json.encode(value).decode()


def shown(path: Path) -> str:
    """A path for people: ``.spec.containers[name="nginx"].image``."""
    return "".join(map(_shown, path))


def _shown(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    if kind == "k":
        return f"[{_pairs(json.loads(rest).items())}]"
    return f"[{rest}]"


def _pairs(keys: Iterable[tuple[str, Any]]) -> str:
    return ",".join(f"{name}={text(value)}" for name, value in keys)
