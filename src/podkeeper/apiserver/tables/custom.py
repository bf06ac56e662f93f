"""How objects of a custom resource are printed: by the columns of their definition, else by name and age.

Source: Kubernetes reference, Custom Resources, "Additional printer columns".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from podkeeper.api.catalogue import PrinterColumn, Resource
from podkeeper.api.jsonpath import JsonPath, MalformedPath
from podkeeper.apiserver.tables.column import Column, Columns, Tree, name_of, since

log = logging.getLogger(__name__)

_AGE = PrinterColumn("Age", "date", ".metadata.creationTimestamp")


@lru_cache(maxsize=1024)
def columns_of(resource: Resource) -> Columns:
    """The columns of one served version."""
    given = resource.columns or (_AGE,)
    columns = [Column("Name", "string", "name"), *(_column(each) for each in given)]
    cells = [_cell(each) for each in given]
    return Columns(tuple(columns), lambda tree, now: [name_of(tree), *(cell(tree, now) for cell in cells)])


def _column(given: PrinterColumn) -> Column:
    return Column(given.name, given.type, given.format, given.priority, given.description)


def _cell(given: PrinterColumn) -> Callable[[Tree, float], Any]:
    try:
        path = JsonPath(given.path)
    except MalformedPath as error:
        log.warning("column %s cannot be shown: %s", given.name, error)
        return lambda tree, now: None
    convert: Callable[[Any, float], Any] = _CONVERSIONS.get(given.type, _text)

    def cell(tree: Tree, now: float) -> Any:
        value = path.first(tree)
        return None if value is None else convert(value, now)

    return cell


def _text(value: Any, now: float) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _integer(value: Any, now: float) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(value: Any, now: float) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any, now: float) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: float) -> str:
    try:
        return since(str(value), now)
    except ValueError:
        return "<invalid>"


_CONVERSIONS: dict[str, Callable[[Any, float], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}
