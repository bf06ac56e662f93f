"""``api.validation`` as the verbs call it, subresources told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from podkeeper.api import validation
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import Cause


def on_create(resource: Resource, tree: dict[str, Any], obj: msgspec.Struct) -> Sequence[Cause]:
    """Mistakes of a new object."""
    return validation.validate_create(resource, tree, obj)


def on_update(resource: Resource, new: msgspec.Struct, old: msgspec.Struct, subresource: str) -> Sequence[Cause]:
    """Mistakes of a changed object."""
    return validation.validate_update(resource, new, old, subresource)
