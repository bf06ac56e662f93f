"""Field management of one face of a kind: what is kept of every write in ``metadata.managedFields``.

    create, update, patch:  record(live, new, by)  the new tree gets its managers
    apply:                  apply(live, config, by, force)  gives the new tree, managers included

Metadata that identifies an object or that only the server sets belongs to nobody.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.apply import comparison
from podkeeper.api.apply.comparison import UndeclaredField, fields_of
from podkeeper.api.apply.conflicts import Conflicts
from podkeeper.api.apply.fieldsets import FieldSet, difference, union
from podkeeper.api.apply.managers import (
    APPLY,
    UPDATE,
    MalformedEntry,
    Manager,
    Managers,
    capped,
    check,
    decode,
    encode,
)
from podkeeper.api.apply.nodes import Node
from podkeeper.api.apply.updater import Convert, Updater
from podkeeper.api.errors import ApiError, bad_request

Tree = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Who is said to have written what was there before anything was managed.
BEFORE_FIRST_APPLY = "before-first-apply"

_UNMANAGED = frozenset(
    {
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    }
)


class Writer(Struct, frozen=True):
    """Who writes: the field manager's name, and when (RFC 3339)."""

    name: str
    now: str


class FieldManager:
    """Keeps the managers of one kind's objects, as written through the main resource or one subresource.

    ``hidden`` names members of the object that a write to this face does not change (such as ``status``).
    """

    def __init__(
        self, kind: tuple[str, str], node: Node, convert: Convert, subresource: str = "", hidden: Collection[str] = ()
    ) -> None:
        self._version, self._kind = kind
        self._node, self._subresource = node, subresource
        self._hidden = frozenset({"apiVersion", "kind", *hidden})
        self._updater = Updater(self._version, node, convert, self._visible)

    def record(self, live: Tree | None, new: Tree, writer: Writer) -> None:
        """Sets the managers of ``new``, which becomes ``live`` (None: it is created).

        What the client says in managedFields counts: ``[{}]`` forgets all managers; entries that make no sense, or
        none, leave those of the live object.
        """
        managers = self._said(live, new)
        if live is not None and not managers:
            new["metadata"].pop("managedFields", None)
            return
        manager = Manager(writer.name, UPDATE, self._version, self._subresource)
        try:
            after = self._updater.update(live or {}, new, managers, manager)
        except (UndeclaredField, RecursionError):
            # What upstream does too: an object whose fields cannot be told apart keeps the managers that it has. One
            # that is nested too deeply is such an object here.
            after = managers
        if after is not managers:
            own = after.get(manager)
            if own is not None and own != managers.get(manager):
                after[manager] = replace(own, time=writer.now)
            after = capped(after)
        _store(new, after)

    def apply(self, live: Tree | None, config: Tree, writer: Writer, force: bool) -> Tree:
        """The new state. Raises ApiError: 400 for a configuration that cannot be applied, 409 for conflicts."""
        self._check(config)
        manager = Manager(writer.name, APPLY, "", self._subresource)
        current = live or {"apiVersion": self._version, "kind": self._kind, "metadata": {}}
        managers = decode(current["metadata"].get("managedFields"))
        if live is not None and not managers:
            before = Manager(BEFORE_FIRST_APPLY, UPDATE, self._version, self._subresource)
            managers = self._updater.update({}, live, {}, before)
            managers = {each: replace(claim, time=writer.now) for each, claim in managers.items()}
        try:
            new, after = self._applied(current, config, managers, manager, force)
        except UndeclaredField as error:
            raise self._untyped(config, error) from error
        own = after.get(manager)
        if own is not None and (new != current or _claims(after) != _claims(managers)):
            after[manager] = replace(own, time=writer.now)
        new = new | {"metadata": dict(new["metadata"])}
        _store(new, after)
        return new

    def _applied(
        self, current: Tree, config: Tree, managers: Managers, manager: Manager, force: bool
    ) -> tuple[Tree, Managers]:
        try:
            return self._updater.apply(current, config, managers, manager, force)
        except Conflicts as conflicts:
            if manager.name == "kubectl" and self._was_applied(current, conflicts):
                return self._updater.apply(current, config, managers, manager, True)
            raise conflicts.as_error() from conflicts

    def _was_applied(self, current: Tree, conflicts: Conflicts) -> bool:
        """Whether kubectl itself wrote everything in conflict before, by client-side apply, and nobody since."""
        allowed = self._last_applied(current)
        return all(not difference(fields, allowed) for fields in conflicts.fields.values())

    def _last_applied(self, current: Tree) -> FieldSet:
        annotations = current["metadata"].get("annotations") or {}
        try:
            last = json.loads(annotations.get(LAST_APPLIED, ""))
            fields = fields_of(self._visible(last), self._node)
            changes = comparison.compare(self._visible(current), self._visible(last), self._node)
        except (ValueError, AttributeError, TypeError):
            return {}
        return difference(fields, union(changes.modified, changes.added))

    def _check(self, config: Tree) -> None:
        version = config.get("apiVersion")
        if version != self._version:
            why = f"Specified patch version: {version}, expected: {self._version}"
            raise bad_request(f"Incorrect version specified in apply patch. {why}")
        if (config.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")

    def _untyped(self, config: Tree, error: UndeclaredField) -> ApiError:
        metadata = config.get("metadata") or {}
        name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
        what = f"{name}; {self._version}, Kind={self._kind}"
        return ApiError(500, "", f"failed to create typed patch object ({what}): {error}")

    def _said(self, live: Tree | None, new: Tree) -> Managers:
        entries = new["metadata"].get("managedFields")
        if entries == [{}]:
            return {}
        known = live["metadata"].get("managedFields") if live else None
        if self._subresource or not entries or entries == known:
            return decode(known)
        try:
            check(entries)
        except MalformedEntry:
            return decode(known)
        return decode(entries)

    def _visible(self, tree: Tree) -> Tree:
        visible = {name: value for name, value in tree.items() if name not in self._hidden}
        metadata = visible.pop("metadata", None) or {}
        managed = {name: value for name, value in metadata.items() if name not in _UNMANAGED}
        return {"metadata": managed} | visible if managed else visible


def _claims(managers: Managers) -> dict[Manager, tuple[FieldSet, str]]:
    return {manager: (claim.fields, claim.api_version) for manager, claim in managers.items()}


def _store(tree: Tree, managers: Managers) -> None:
    if managers:
        tree["metadata"]["managedFields"] = encode(managers)
    else:
        tree["metadata"].pop("managedFields", None)
