"""What a write does to the claims of an object's managers.

An update takes the fields that it changes from everybody. An apply claims the fields of its configuration, gives up
(and takes out of the object) those that it had and no longer mentions and nobody else manages, and meets a conflict
where it would change what another manages.

Source: Kubernetes KEP-555, Server-side Apply, and its reference page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from podkeeper.api.apply import comparison, merging
from podkeeper.api.apply.comparison import Comparison, fields_of
from podkeeper.api.apply.conflicts import Conflicts
from podkeeper.api.apply.fieldsets import LEAF, SELF, FieldSet, difference, intersection, ordered, union
from podkeeper.api.apply.managers import Claim, Manager, Managers
from podkeeper.api.apply.nodes import Node

Tree = dict[str, Any]

#: A tree of the served version in another one, with that version's type; None where that version is not served.
Convert = Callable[[Tree, str], tuple[Tree, Node] | None]
#: The part of a tree whose fields are managed at all.
Visible = Callable[[Tree], Tree]


class Updater:
    """Works on objects of one kind in one served version."""

    def __init__(self, api_version: str, node: Node, convert: Convert, visible: Visible) -> None:
        self._version, self._node, self._convert, self._visible = api_version, node, convert, visible

    def update(self, old: Tree, new: Tree, managers: Managers, manager: Manager) -> Managers:
        """The managers after ``manager`` has written ``new``. The same mapping when nothing has changed hands."""
        changes = self._compared(old, new)
        changed = ordered(union(changes.added, changes.modified)) if changes.modified else changes.added
        if not changed and not changes.removed:
            return managers
        result = self._yielded(managers, manager, old, new, changes)
        own = result.get(manager)
        fields = ordered(union(difference(own.fields, changes.removed), changed)) if own else changed
        result.pop(manager, None)
        if fields:
            result[manager] = Claim(fields, self._version)
        return result

    def apply(
        self, live: Tree, config: Tree, managers: Managers, manager: Manager, force: bool
    ) -> tuple[Tree, Managers]:
        """The object and its managers after ``manager`` has applied ``config``. Raises Conflicts unless forced;
        UndeclaredField where the configuration does not fit its type."""
        fields = ordered(fields_of(self._visible(config), self._node))
        before = managers.get(manager)
        claimed = managers | {manager: Claim(fields, self._version, before.time if before else "")}
        merged = merging.merge(live, config, self._node)
        if before is not None and before.fields:
            merged = self._pruned(merged, claimed, before)
        changes = self._compared(live, merged)
        if not force:
            self._refuse_conflicts(live, merged, claimed, manager, changes)
        result = self._yielded(claimed, manager, live, merged, changes)
        return merged, {each: claim for each, claim in result.items() if claim.fields}

    def _compared(self, old: Tree, new: Tree) -> Comparison:
        return comparison.compare(self._visible(old), self._visible(new), self._node)

    def _in_version(self, version: str, old: Tree, new: Tree, changes: Comparison) -> Comparison | None:
        """The same changes in the version of somebody's claim; None when that version is no more."""
        if version == self._version:
            return changes
        before, after = self._convert(old, version), self._convert(new, version)
        if before is None or after is None:
            return None
        return comparison.compare(self._visible(before[0]), self._visible(after[0]), after[1])

    def _yielded(self, managers: Managers, writer: Manager, old: Tree, new: Tree, changes: Comparison) -> Managers:
        """The others' claims without what the writer changed or removed; the writer's stays as it is."""
        result: Managers = {}
        for manager, claim in managers.items():
            if manager == writer:
                result[manager] = claim
                continue
            seen = self._in_version(claim.api_version, old, new, changes)
            if seen is None:
                continue
            fields = claim.fields
            for lost in seen:
                fields = difference(fields, lost)
            if fields:
                result[manager] = claim if fields == claim.fields else replace(claim, fields=fields)
        return result

    def _refuse_conflicts(self, old: Tree, new: Tree, managers: Managers, writer: Manager, changes: Comparison) -> None:
        conflicts: dict[Manager, FieldSet] = {}
        for manager, claim in managers.items():
            if manager == writer:
                continue
            seen = self._in_version(claim.api_version, old, new, changes)
            fields = intersection(claim.fields, union(seen.added, seen.modified)) if seen else {}
            if fields:
                conflicts[manager] = fields
        if conflicts:
            raise Conflicts(conflicts)

    def _pruned(self, merged: Tree, managers: Managers, before: Claim) -> Tree:
        """The merged object without what its applier has given up and nobody else manages."""
        if before.api_version != self._version:
            converted = self._convert(merged, before.api_version)
            if converted is None:
                return merged
            # What was given up is judged in the version it was claimed in, and taken out of the served one.
            gone = self._given_up(*converted, managers, before)
        else:
            gone = self._given_up(merged, self._node, managers, before)
        return merging.without(merged, gone, self._node) or {}

    def _given_up(self, merged: Tree, node: Node, managers: Managers, before: Claim) -> FieldSet:
        present = merging.with_named_fields(fields_of(self._visible(merged), node), node)
        pruned = merging.without(merged, merging.with_named_fields(before.fields, node), node) or {}
        # Of metadata there is more than what can be managed.
        kept = {"f:metadata": {SELF: LEAF}} | merging.with_named_fields(fields_of(self._visible(pruned), node), node)
        for claim in managers.values():
            kept = union(kept, merging.with_named_fields(claim.fields, node))
        gone = difference(present, kept)
        return intersection(gone, merging.with_named_fields(before.fields, node))
