"""Which names a definition gets where others of its group have some of them."""

from __future__ import annotations

from typing import Any

from podkeeper.apiserver.customresources.naming import status_of, taken_by

Tree = dict[str, Any]
NOW = "2026-01-01T00:00:00Z"


def definition(plural: str, kind: str, *short: str) -> Tree:
    names = {"plural": plural, "singular": plural.removesuffix("s"), "kind": kind, "listKind": f"{kind}List"}
    return {"metadata": {}, "spec": {"names": names | ({"shortNames": list(short)} if short else {})}}


def accepted(tree: Tree, *others: Tree) -> tuple[Tree, tuple[str, str]]:
    status = status_of(tree, taken_by(others), NOW)
    condition = next(each for each in status["conditions"] if each["type"] == "NamesAccepted")
    return status["acceptedNames"], (condition["reason"], condition["message"])


def had(tree: Tree) -> Tree:
    return tree | {"status": status_of(tree, taken_by(()), NOW)}


def test_names_that_are_free_are_given() -> None:
    names, told = accepted(definition("doors", "Door", "do"))
    assert (names["plural"], names["shortNames"]) == ("doors", ["do"])
    assert told == ("NoConflicts", "no conflicts found")


def test_short_names_that_are_taken_are_told_of_together() -> None:
    names, told = accepted(definition("doors", "Door", "wi", "windows"), had(definition("windows", "Window", "wi")))
    assert told == ("ShortNamesConflict", '["wi" is already in use, "windows" is already in use]')
    assert (names["plural"], names["shortNames"]) == ("doors", [])


def test_the_last_conflict_is_told_of() -> None:
    other = had(definition("windows", "Window", "wi"))
    assert accepted(definition("doors", "Window", "wi"), other)[1][0] == "ListKindConflict"
    assert accepted(definition("windows", "Door"), other)[1][0] == "SingularConflict"


def test_what_was_accepted_stays_where_a_new_name_is_taken() -> None:
    before = had(definition("doors", "Door", "do"))
    changed = definition("doors", "Door", "wi") | {"status": before["status"]}
    names, _ = accepted(changed, had(definition("windows", "Window", "wi")))
    assert names["shortNames"] == ["do"]
