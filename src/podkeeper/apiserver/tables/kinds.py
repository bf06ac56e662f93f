"""Which kind is printed how: the modules that know kinds, and what is printed for all others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver.tables import custom
from podkeeper.apiserver.tables.column import Columns, Tree, name_of, printed


def _default_cells(tree: Tree, now: float) -> list[object]:
    return [name_of(tree), tree["metadata"].get("creationTimestamp")]


#: What upstream prints for a kind without columns of its own.
DEFAULT = printed("Name|Created At:date", _default_cells)


def columns_of(resource: Resource) -> Columns:
    """How objects of a resource are printed, in whichever version they are served."""
    if not resource.type_name:
        return custom.columns_of(resource)
    return _every().get((resource.group, resource.name), DEFAULT)


@cache
def _every() -> Mapping[tuple[str, str], Columns]:
    """All kinds; loaded when the first Table is asked for."""
    from podkeeper.apiserver.tables import cluster, networking, pods, policies, storage, workloads

    modules = (pods, workloads, networking, storage, cluster, policies)
    return {key: columns for module in modules for key, columns in module.COLUMNS.items()}
