"""A column of a Table, the cells' types, and the texts that several kinds print alike (ages, lists of names)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``priority`` 0 is always shown, 1 only in wide output."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def tree(self) -> dict[str, Any]:
        """The TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


#: Makes an object's cells; the float is the present time in seconds since the epoch.
Cells = Callable[[Tree, float], list[Any]]


@dataclass(frozen=True, slots=True)
class Columns:
    """How a kind is printed."""

    columns: tuple[Column, ...]
    cells: Cells


NAME = Column(
    "Name",
    format="name",
    description="Name must be unique within a namespace. Is required when creating resources.",
)
AGE = Column("Age", description="Time since the object was created.")


def column(name: str, description: str = "", *, kind: str = "string", wide: bool = False) -> Column:
    """A column with the defaults of most."""
    return Column(name, kind, "", description, 1 if wide else 0)


def name_of(tree: Tree) -> str:
    """The object's name."""
    return str(tree["metadata"].get("name", ""))


def seconds_of(timestamp: str | None) -> float | None:
    """An RFC 3339 timestamp as seconds since the epoch; None if absent."""
    if not timestamp:
        return None
    return datetime.datetime.fromisoformat(timestamp).timestamp()


def age(tree: Tree, now: float) -> str:
    """How old an object is."""
    return since(tree["metadata"].get("creationTimestamp"), now)


def since(timestamp: str | None, now: float) -> str:
    """Time since a timestamp, ``<unknown>`` without one."""
    then = seconds_of(timestamp)
    return "<unknown>" if then is None else duration(now - then)


def duration(seconds: float) -> str:
    """A span as upstream's HumanDuration prints it: two units where they matter (``3m12s``, ``2d4h``, ``90s``)."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    minutes, hours = whole // 60, whole // 3600
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    if hours < 24 * 365 * 8:
        return _two(hours // 24 // 365, "y", hours // 24 % 365, "d")
    return f"{hours // 24 // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def joined(values: Sequence[str], nothing: str = "<none>") -> str:
    """Comma-separated values."""
    return ",".join(values) if values else nothing


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Labels as ``a=1,b=2``, sorted; ``<none>`` without any."""
    return joined([f"{key}={value}" for key, value in sorted((labels or {}).items())])


def selector_text(selector: Tree | None) -> str:
    """A LabelSelector as upstream formats it: nothing selects everything or nothing, as the field means it."""
    if selector is None:
        return "<none>"
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        terms.append(_requirement(each))
    return joined(terms)


def _requirement(tree: Tree) -> str:
    key, operator = tree["key"], tree["operator"]
    values = ",".join(sorted(tree.get("values") or ()))
    forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return str(forms.get(operator, key))


def containers_texts(spec: Tree) -> tuple[str, str]:
    """Names and images of a pod template's containers."""
    containers = spec.get("containers") or ()
    return ",".join(each.get("name", "") for each in containers), ",".join(each.get("image", "") for each in containers)
