"""``api.validation`` as the verbs call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api import validation
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import Cause


def on_create(resource: Resource, tree: dict[str, Any], obj: msgspec.Struct) -> Sequence[Cause]:
    """Mistakes of a new object."""
    check = getattr(validation, "validate_create", None)
    return check(resource, tree, obj) if check else ()


def on_update(resource: Resource, new: msgspec.Struct, old: msgspec.Struct, subresource: str) -> Sequence[Cause]:
    """Mistakes of a changed object."""
    check = getattr(validation, "validate_update", None)
    return check(resource, new, old) if check and subresource in ("", "status") else ()
