"""Makes Tables: finds a kind's columns and puts rows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver.tables.column import Columns
from podkeeper.apiserver.tables.kinds import columns_of
from podkeeper.foundation.clock import Clock


class HasTree(Protocol):
    """What a row is made from: an item of the registry, for example."""

    def tree(self) -> dict[str, Any]: ...


class TableMaker:
    """Tables as of the clock's present time, which ages need."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def table(
        self, resource: Resource, items: Sequence[HasTree], metadata: Mapping[str, Any], version: str, include: str
    ) -> dict[str, Any]:
        """A Table of items; ``include`` says how much of each object its row carries: None, Metadata or Object."""
        now = self._clock.time()
        chosen = columns_of(resource)
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{version}",
            "metadata": dict(metadata),
            "columnDefinitions": [column.tree() for column in chosen.columns],
            "rows": [_row(chosen, item, now, version, include) for item in items],
        }


def _row(chosen: Columns, item: HasTree, now: float, version: str, include: str) -> dict[str, Any]:
    tree = item.tree()
    row: dict[str, Any] = {"cells": chosen.cells(tree, now)}
    conditions = chosen.conditions(tree) if chosen.conditions is not None else None
    if conditions:
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = tree
    elif include == "Metadata":
        api_version = f"meta.k8s.io/{version}"
        row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": tree["metadata"]}
    else:
        row["object"] = None
    return row
