"""Columns of a Table, and the texts that several kinds print alike (ages, lists, selectors)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

Tree = Mapping[str, Any]
#: Makes an object's cells; the float is the present time in seconds since the epoch.
Cells = Callable[[Tree, float], list[Any]]
#: A row's conditions.
Conditions = Callable[[Tree], list[dict[str, str]]]


class Column(Struct, frozen=True):
    """One column. ``priority`` 0 is always shown, 1 only in wide output."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""

    def tree(self) -> dict[str, Any]:
        """The TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


class Columns(Struct, frozen=True):
    """How a kind is printed."""

    columns: tuple[Column, ...]
    cells: Cells
    conditions: Conditions | None = None


def printed(specification: str, cells: Cells, conditions: Conditions | None = None) -> Columns:
    """Columns from a text: names separated by ``|``, ``:integer`` after a name its type, ``*`` last for wide output."""
    return Columns(tuple(_column(text.strip()) for text in specification.split("|")), cells, conditions)


def _column(text: str) -> Column:
    wide = text.endswith("*")
    name, _, kind = text.rstrip("*").partition(":")
    return Column(name, kind or "string", "name" if name == "Name" else "", 1 if wide else 0)


def name_of(tree: Tree) -> str:
    """The object's name."""
    return str(tree["metadata"].get("name", ""))


def spec_of(tree: Tree) -> Tree:
    """The object's spec, empty if absent."""
    spec: Tree = tree.get("spec") or {}
    return spec


def status_of(tree: Tree) -> Tree:
    """The object's status, empty if absent."""
    status: Tree = tree.get("status") or {}
    return status


def being_deleted(tree: Tree) -> bool:
    """The object has a deletion timestamp."""
    return bool(tree["metadata"].get("deletionTimestamp"))


def seconds_of(timestamp: str | None) -> float | None:
    """An RFC 3339 timestamp as seconds since the epoch; None if absent."""
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else None


def age(tree: Tree, now: float) -> str:
    """How old an object is."""
    return since(tree["metadata"].get("creationTimestamp"), now)


def since(timestamp: str | None, now: float) -> str:
    """Time since a timestamp, ``<unknown>`` without one."""
    then = seconds_of(timestamp)
    return "<unknown>" if then is None else duration(now - then)


def duration(seconds: float) -> str:
    """A span as upstream's HumanDuration prints it, with two units where they matter: ``90s``, ``3m12s``, ``2d4h``."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>" if whole < -1 else "0s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
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
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def joined(values: Iterable[str], nothing: str = "<none>") -> str:
    """Comma-separated values."""
    return ",".join(values) or nothing


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Labels as ``a=1,b=2``, sorted; ``<none>`` without any."""
    return joined(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def selector_text(selector: Tree | None) -> str:
    """A LabelSelector; ``<none>`` for one that is absent or empty."""
    if not selector:
        return "<none>"
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    terms += [(each["key"], _requirement(each)) for each in selector.get("matchExpressions") or ()]
    return joined(text for _, text in sorted(terms))


def _requirement(tree: Tree) -> str:
    key, values = tree["key"], ",".join(sorted(tree.get("values") or ()))
    forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return str(forms.get(tree["operator"], key))


def first_and_more(values: Iterable[str], most: int, nothing: str) -> str:
    """The first values, and how many more there are."""
    listed = list(values)
    text = ",".join(listed[:most])
    if len(listed) > most:
        return f"{text} + {len(listed) - most} more..."
    return text or nothing


def container_cells(pod_spec: Tree | None) -> list[str]:
    """Names and images of a template's containers."""
    containers = (pod_spec or {}).get("containers") or ()
    return [",".join(each.get(field, "") for each in containers) for field in ("name", "image")]


def template_spec(spec: Tree) -> Tree:
    """The pod spec in a workload's template."""
    template: Tree = (spec.get("template") or {}).get("spec") or {}
    return template


def has_condition(status: Tree, kind: str) -> bool:
    """A condition of that type is True."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            return bool(condition.get("status") == "True")
    return False


def counted(tree: Tree, field: str) -> int:
    """A number of the status, 0 if absent."""
    return int(status_of(tree).get(field) or 0)
