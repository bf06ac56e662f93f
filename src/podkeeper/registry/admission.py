"""The registry's view of admission: what a verb asks before it writes.

The API server implements it as an ordered chain of plugins; the registry calls it at the two points upstream does:
``mutate`` after defaulting and before the strategy prepares the object, ``validate`` after validation and before the
append.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct, field

from podkeeper.api.catalogue import Resource
from podkeeper.api.user import UserInfo


class Operation(StrEnum):
    """What is about to happen, in AdmissionReview's words."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


class Attributes(Struct):
    """One pending write. ``tree`` is the new object as a JSON tree (None for DELETE), ``old`` the stored one.

    ``annotations`` are for the audit log; ``passes`` is the chain's own memory of one write between its passes over it.
    """

    operation: Operation
    resource: Resource
    namespace: str
    name: str
    user: UserInfo
    tree: dict[str, Any] | None
    old: dict[str, Any] | None = None
    subresource: str = ""
    dry_run: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    passes: dict[str, Any] = field(default_factory=dict)


class Admission(Protocol):
    """Judges writes. Raises api.errors.ApiError to refuse."""

    async def mutate(self, attributes: Attributes) -> None:
        """May change ``attributes.tree`` in place."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """Must not change anything."""
        ...
