"""Conflicts of server-side apply, and the error that a client gets of them."""

from __future__ import annotations

from collections.abc import Mapping

from podkeeper.api.apply import elements
from podkeeper.api.apply.fieldsets import FieldSet, paths
from podkeeper.api.apply.managers import Manager
from podkeeper.api.errors import ApiError, Cause

_CAUSE = "FieldManagerConflict"


class Conflicts(Exception):
    """Fields that others manage and an apply would change."""

    def __init__(self, fields: Mapping[Manager, FieldSet]) -> None:
        super().__init__(fields)
        self.fields = fields

    def as_error(self) -> ApiError:
        """409 with a cause for every field."""
        found = [(str(manager), elements.shown(path)) for manager, each in self.fields.items() for path in paths(each)]
        causes = [Cause(_CAUSE, f"conflict with {manager}", path) for manager, path in sorted(found)]
        return ApiError(409, "Conflict", _message(sorted(found)), causes=causes)


def _message(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        ((manager, path),) = found
        return f"Apply failed with 1 conflict: conflict with {manager}: {path}"
    lines = []
    for manager in sorted({manager for manager, _ in found}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {path}" for other, path in found if other == manager]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
