"""The cluster as arrays: a row per node, columns for what filters and scores compute on, kept current by events.

A row is given to a node when it is first seen and given on when it is deleted; ``present`` tells which rows count.
What a pod uses is added to its node's row once, by uid, and taken away once: applying an event twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from podkeeper.api.core import v1
from podkeeper.api.pods.affinity import NodeFacts, node_facts
from podkeeper.api.pods.ports import HostPort
from podkeeper.scheduler.pod_facts import PodFacts, in_units

Bools = NDArray[np.bool_]
Amounts = NDArray[np.int64]

PODS = "pods"
_FIRST_ROWS = 16
_CACHED_SELECTIONS = 512


class Columns:
    """All nodes. Rows beyond ``size`` do not exist; every array that leaves here has exactly ``size`` entries."""

    def __init__(self) -> None:
        self.size = 0
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self.nodes: list[v1.Node | None] = []
        self._facts: list[NodeFacts] = []
        self._present = np.zeros(_FIRST_ROWS, bool)
        self._unschedulable = np.zeros(_FIRST_ROWS, bool)
        self._taint_sets = np.zeros(_FIRST_ROWS, np.int64)
        self._allocatable: dict[str, Amounts] = {}
        self._requested: dict[str, Amounts] = {}
        self._nonzero = (np.zeros(_FIRST_ROWS, np.int64), np.zeros(_FIRST_ROWS, np.int64))
        self.taints: list[tuple[v1.Taint, ...]] = [()]
        self._taint_ids: dict[tuple[v1.Taint, ...], int] = {(): 0}
        self._placed: dict[str, tuple[int, PodFacts]] = {}
        self._unplaced: dict[str, dict[str, PodFacts]] = {}
        self.host_ports: dict[tuple[str, int], dict[int, list[HostPort]]] = {}
        self.images: dict[str, dict[int, int]] = {}
        self._selections: dict[object, tuple[Callable[[NodeFacts], int], Amounts]] = {}

    def __repr__(self) -> str:
        return f"<Columns nodes={len(self._rows)} pods={len(self._placed)}>"

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._rows)

    @property
    def present(self) -> Bools:
        """Rows that hold a node."""
        return self._present[: self.size]

    @property
    def unschedulable(self) -> Bools:
        """Nodes that are cordoned."""
        return self._unschedulable[: self.size]

    @property
    def taint_sets(self) -> Amounts:
        """Per node an index into ``taints``."""
        return self._taint_sets[: self.size]

    @property
    def nonzero(self) -> tuple[Amounts, Amounts]:
        """What pods use for scoring: milli-CPU and bytes, defaults included."""
        return self._nonzero[0][: self.size], self._nonzero[1][: self.size]

    def row(self, name: str) -> int | None:
        """A node's row."""
        return self._rows.get(name)

    def name(self, row: int) -> str:
        """The node in a row."""
        return self._facts[row].name

    def allocatable(self, resource: str) -> Amounts:
        """How much of a resource each node has for pods."""
        return self._column(self._allocatable, resource)

    def requested(self, resource: str) -> Amounts:
        """How much of a resource the pods on each node ask for."""
        return self._column(self._requested, resource)

    def select(self, key: object, judge: Callable[[NodeFacts], int]) -> Amounts:
        """``judge`` over all nodes' names and labels, computed once for ``key`` and then kept current."""
        found = self._selections.get(key)
        if found is None:
            if len(self._selections) >= _CACHED_SELECTIONS:
                del self._selections[next(iter(self._selections))]
            column = np.zeros(len(self._present), np.int64)
            for row, facts in enumerate(self._facts):
                column[row] = judge(facts)
            found = self._selections[key] = judge, column
        return found[1][: self.size]

    def put_node(self, node: v1.Node) -> None:
        """A node that was added or has changed."""
        name = node.metadata.name
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = self._new_row()
            self._present[row] = True
        before, facts = self._facts[row], node_facts(node)
        self.nodes[row], self._facts[row] = node, facts
        spec = node.spec or v1.NodeSpec()
        self._unschedulable[row] = bool(spec.unschedulable)
        self._taint_sets[row] = self._taint_id(spec.taints)
        self._fill_allocatable(row, node)
        self._fill_images(row, node)
        if before != facts:
            for judge, column in self._selections.values():
                column[row] = judge(facts)
        for placed in self._unplaced.pop(name, {}).values():
            self.put_pod(name, placed)

    def remove_node(self, name: str) -> None:
        """A node that is gone; pods that were on it wait for one of that name to come back."""
        row = self._rows.pop(name, None)
        if row is None:
            return
        stranded = {uid: facts for uid, (home, facts) in self._placed.items() if home == row}
        for uid in stranded:
            self.remove_pod(uid)
        self._unplaced.setdefault(name, {}).update(stranded)
        self._present[row] = False
        self.nodes[row] = None
        for column in self._allocatable.values():
            column[row] = 0
        for holders in self.images.values():
            holders.pop(row, None)
        self._free.append(row)

    def put_pod(self, node: str, facts: PodFacts) -> None:
        """A pod that is on a node, or about to be (assumed)."""
        uid = facts.pod.metadata.uid
        self.remove_pod(uid)
        row = self._rows.get(node)
        if row is None:
            self._unplaced.setdefault(node, {})[uid] = facts
            return
        self._placed[uid] = row, facts
        self._count(row, facts, 1)
        for port in facts.host_ports:
            self.host_ports.setdefault((port.protocol, port.port), {}).setdefault(row, []).append(port)

    def remove_pod(self, uid: str) -> None:
        """A pod that is on no node any more."""
        for waiting in self._unplaced.values():
            waiting.pop(uid, None)
        row, facts = self._placed.pop(uid, (0, None))
        if facts is None:
            return
        self._count(row, facts, -1)
        for port in facts.host_ports:
            holders = self.host_ports[port.protocol, port.port]
            holders[row].remove(port)
            if not holders[row]:
                del holders[row]

    def pods_on(self, row: int) -> Iterator[PodFacts]:
        """The pods on a node."""
        return (facts for home, facts in self._placed.values() if home == row)

    def _count(self, row: int, facts: PodFacts, sign: int) -> None:
        for resource, amount in facts.requests.items():
            self._whole(self._requested, resource)[row] += sign * amount
        self._whole(self._requested, PODS)[row] += sign
        for column, amount in zip(self._nonzero, facts.nonzero, strict=True):
            column[row] += sign * amount

    def _fill_allocatable(self, row: int, node: v1.Node) -> None:
        allocatable: Mapping[str, v1.Quantity] = node.status.allocatable if node.status else {}
        for column in self._allocatable.values():
            column[row] = 0
        for resource, amount in allocatable.items():
            self._whole(self._allocatable, resource)[row] = in_units(resource, amount)

    def _fill_images(self, row: int, node: v1.Node) -> None:
        for holders in self.images.values():
            holders.pop(row, None)
        for image in node.status.images if node.status else ():
            for name in image.names:
                self.images.setdefault(name, {})[row] = image.size_bytes or 0

    def _taint_id(self, taints: tuple[v1.Taint, ...]) -> int:
        found = self._taint_ids.get(taints)
        if found is None:
            found = self._taint_ids[taints] = len(self.taints)
            self.taints.append(taints)
        return found

    def _column(self, columns: dict[str, Amounts], resource: str) -> Amounts:
        return self._whole(columns, resource)[: self.size]

    def _whole(self, columns: dict[str, Amounts], resource: str) -> Amounts:
        column = columns.get(resource)
        if column is None:
            column = columns[resource] = np.zeros(len(self._present), np.int64)
        return column

    def _new_row(self) -> int:
        if self._free:
            return self._free.pop()
        if self.size == len(self._present):
            self._grow()
        self.size += 1
        self.nodes.append(None)
        self._facts.append(NodeFacts("", {}))
        return self.size - 1

    def _grow(self) -> None:
        more = len(self._present)
        self._present = np.concatenate([self._present, np.zeros(more, bool)])
        self._unschedulable = np.concatenate([self._unschedulable, np.zeros(more, bool)])
        self._taint_sets = _longer(self._taint_sets)
        self._nonzero = (_longer(self._nonzero[0]), _longer(self._nonzero[1]))
        for columns in (self._allocatable, self._requested):
            for resource in columns:
                columns[resource] = _longer(columns[resource])
        self._selections = {key: (judge, _longer(column)) for key, (judge, column) in self._selections.items()}


def _longer(column: Amounts) -> Amounts:
    return np.concatenate([column, np.zeros(len(column), np.int64)])
