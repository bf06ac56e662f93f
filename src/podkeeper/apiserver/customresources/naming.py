"""Which names a definition gets, and the conditions that say so.

Within a group a plural, singular, short name, kind or list kind belongs to the definition that had it first.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ and upstream's
messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from podkeeper.api.structural.definition import complete_names

Tree = dict[str, Any]

NAMES_ACCEPTED, ESTABLISHED = "NamesAccepted", "Established"


class Taken(Struct, frozen=True):
    """What the other definitions of a group have: names of resources and kinds."""

    resources: frozenset[str]
    kinds: frozenset[str]


def taken_by(others: Iterable[Tree]) -> Taken:
    """The accepted names of these definitions."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for tree in others:
        names = (tree.get("status") or {}).get("acceptedNames") or {}
        resources |= {names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ())}
        kinds |= {names.get("kind", ""), names.get("listKind", "")}
    return Taken(frozenset(resources - {""}), frozenset(kinds - {""}))


def status_of(definition: Tree, taken: Taken, now: str) -> Tree:
    """The status that a definition should have: accepted names and the two conditions about them."""
    status = dict(definition.get("status") or {})
    wanted = complete_names(definition["spec"]["names"])
    accepted, conflicts = _accepted(wanted, status.get("acceptedNames") or {}, taken)
    known = {each["type"]: each for each in status.get("conditions") or ()}
    if conflicts:
        reason, message = conflicts[-1]
        names = _condition(NAMES_ACCEPTED, "False", reason, message, now)
    else:
        names = _condition(NAMES_ACCEPTED, "True", "NoConflicts", "no conflicts found", now)
    found = [names]
    if known.get(ESTABLISHED, {}).get("status") != "True":
        if conflicts:
            found.append(_condition(ESTABLISHED, "False", "NotAccepted", "not all names are accepted", now))
        else:
            text = "the initial names have been accepted"
            found.append(_condition(ESTABLISHED, "True", "InitialNamesAccepted", text, now))
    merged = known | {each["type"]: _kept(known.get(each["type"]), each) for each in found}
    return status | {"acceptedNames": accepted, "conditions": list(merged.values())}


def _accepted(wanted: Tree, present: Mapping[str, Any], taken: Taken) -> tuple[Tree, list[tuple[str, str]]]:
    """The names that can be had, what was accepted before in place of the others, and what is in the way."""
    accepted: Tree = {}
    conflicts: list[tuple[str, str]] = []
    for name, reason, pool in (
        ("plural", "PluralConflict", taken.resources),
        ("singular", "SingularConflict", taken.resources),
        ("shortNames", "ShortNamesConflict", taken.resources),
        ("kind", "KindConflict", taken.kinds),
        ("listKind", "ListKindConflict", taken.kinds),
    ):
        value = wanted.get(name)
        asked = value if isinstance(value, list) else [value]
        if clashing := [each for each in asked if each in pool]:
            told = ", ".join(f'"{each}" is already in use' for each in clashing)
            conflicts.append((reason, f"[{told}]" if len(clashing) > 1 else told))
            value = present.get(name, [] if name == "shortNames" else "")
        if value is not None:
            accepted[name] = list(value) if isinstance(value, list | tuple) else value
    if wanted.get("categories"):
        accepted["categories"] = list(wanted["categories"])
    return accepted, conflicts


def _condition(type_: str, status: str, reason: str, message: str, now: str) -> Tree:
    return {"type": type_, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}


def _kept(before: Tree | None, after: Tree) -> Tree:
    """A condition that says what it said before has its old time."""
    if before is not None and before.get("status") == after["status"]:
        return after | {"lastTransitionTime": before["lastTransitionTime"]}
    return after
