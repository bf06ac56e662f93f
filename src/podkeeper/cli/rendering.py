"""Objects on paper: the server's Tables in columns, names, JSON, YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from podkeeper.cli.kinds import label
from podkeeper.cli.targets import Target

Tree = Mapping[str, Any]
GAP = "   "


def dump(trees: Sequence[Tree], output: str) -> str:
    """JSON or YAML; several answers become one List."""
    tree: Tree = trees[0]
    if len(trees) > 1:
        items = [item for each in trees for item in each.get("items", [each])]
        tree = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()
    import yaml

    return str(yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)).rstrip("\n")


def names(target: Target, tree: Tree) -> Iterator[str]:
    """``TYPE/NAME`` of the object, or of each in the list."""
    for item in tree.get("items", [tree]):
        yield label(target.resource, item["metadata"]["name"])


class Columns:
    """One Table's columns. Rows that a watch brings later keep to the widths of the first ones."""

    def __init__(self, table: Tree, *, wide: bool, with_namespace: bool, prefix: str = "") -> None:
        definitions = table.get("columnDefinitions") or ()
        self._shown = [index for index, column in enumerate(definitions) if wide or not column.get("priority")]
        self._with_namespace, self._prefix = with_namespace, prefix
        self.head = (["NAMESPACE"] if with_namespace else []) + [definitions[i]["name"].upper() for i in self._shown]
        self._widths = [len(cell) for cell in self.head]

    def rows(self, table: Tree) -> list[list[str]]:
        """The cells of a Table, as text; they count for the widths."""
        found = [self._cells(row) for row in table.get("rows") or ()]
        self._widths = [max([width, *(len(row[index]) for row in found)]) for index, width in enumerate(self._widths)]
        return found

    def line(self, cells: Sequence[str]) -> str:
        """One line."""
        return GAP.join(cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)).rstrip()

    def _cells(self, row: Tree) -> list[str]:
        cells = [_text(row["cells"][index]) for index in self._shown]
        if self._prefix and cells:
            cells[0] = f"{self._prefix}/{cells[0]}"
        return ([row["object"]["metadata"].get("namespace", "")] if self._with_namespace else []) + cells


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return "<none>" if cell is None else str(cell).partition("\n")[0]
