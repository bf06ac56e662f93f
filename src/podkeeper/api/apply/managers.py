"""Who manages which fields of an object: ``metadata.managedFields`` as a mapping, and back.

A manager is told from another by name, operation and subresource, and for updates by the API version too: who applies
in one version and then in another is the same manager still.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from podkeeper.api.apply.fieldsets import FieldSet, ordered, union

APPLY, UPDATE = "Apply", "Update"
#: Who is said to have written what the oldest of many updaters did.
ANCIENT_CHANGES = "ancient-changes"
#: How many updaters an object remembers one by one; upstream's figure.
MAX_UPDATERS = 10

Tree = dict[str, Any]


class Manager(NamedTuple):
    """What identifies a manager. ``api_version`` is empty for one that applies."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    @property
    def applies(self) -> bool:
        """Whether its fields came by server-side apply."""
        return self.operation == APPLY

    def __str__(self) -> str:
        """As upstream names it in conflicts."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return text if self.applies else f"{text} using {self.api_version}"


class Claim(Struct, frozen=True):
    """The fields of one manager, in order, in the API version that they were last written in; ``time`` is RFC 3339."""

    fields: FieldSet
    api_version: str
    time: str = ""


Managers = dict[Manager, Claim]


class MalformedEntry(ValueError):
    """An entry of managedFields that cannot be understood."""


def decode(entries: Any) -> Managers:
    """The managers of an object, from entries that are well formed."""
    found: Managers = {}
    for entry in entries or ():
        operation, version = entry["operation"], entry["apiVersion"]
        identity = "" if operation == APPLY else version
        manager = Manager(entry.get("manager", ""), operation, identity, entry.get("subresource", ""))
        found[manager] = Claim(entry["fieldsV1"], version, entry.get("time") or "")
    return found


def check(entries: Any) -> None:
    """Raises MalformedEntry unless a client's entries can be understood."""
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            raise MalformedEntry("an entry of metadata.managedFields must be an object")
        if entry.get("operation") not in (APPLY, UPDATE):
            raise MalformedEntry(f"invalid operation {entry.get('operation')!r} in metadata.managedFields")
        if entry.get("fieldsType") != "FieldsV1" or not _is_field_set(entry.get("fieldsV1")):
            raise MalformedEntry("metadata.managedFields holds something else than FieldsV1")
        if not entry.get("apiVersion"):
            raise MalformedEntry("an entry of metadata.managedFields has no apiVersion")


def _is_field_set(fields: Any) -> bool:
    if not isinstance(fields, dict):
        return False
    return all((key == "." or key[:2] in ("f:", "k:", "v:", "i:")) and _is_field_set(fields[key]) for key in fields)


def encode(managers: Managers) -> list[Tree]:
    """The entries, in upstream's order: what was applied first, then by time and name."""
    return [_encode(manager, claim) for manager, claim in sorted(managers.items(), key=_rank)]


def _rank(row: tuple[Manager, Claim]) -> tuple[str, ...]:
    manager, claim = row
    return manager.operation, claim.time, manager.name, claim.api_version, manager.subresource


def _encode(manager: Manager, claim: Claim) -> Tree:
    entry: Tree = {"manager": manager.name} if manager.name else {}
    entry |= {"operation": manager.operation, "apiVersion": claim.api_version}
    if claim.time:
        entry["time"] = claim.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": claim.fields}
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def capped(managers: Managers) -> Managers:
    """No more updaters than are remembered: the oldest of an API version become one."""
    updaters = sorted((claim.time, manager) for manager, claim in managers.items() if not manager.applies)
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return managers
    result = dict(managers)
    oldest: dict[str, Manager] = {}
    for time, manager in updaters:
        version = manager.api_version
        if not excess:
            break
        if version not in oldest:
            oldest[version] = manager
            continue
        bucket = Manager(ANCIENT_CHANGES, UPDATE, version)
        if bucket not in result:
            result[bucket] = result.pop(oldest[version])
        fields = (
            union(result[bucket].fields, result.pop(manager).fields) if manager != bucket else result[bucket].fields
        )
        result[bucket] = Claim(ordered(fields), version, time)
        excess -= 1
    return result
