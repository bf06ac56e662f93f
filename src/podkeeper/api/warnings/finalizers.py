"""Finalizers of custom objects that somebody else may use for something else.

Source: apiextensions-apiserver, pkg/registry/customresource (generateWarningsFromObj).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from podkeeper.api import names

_STANDARD = ("foregroundDeletion", "kubernetes", "orphan")
_DOMAIN = (
    "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer "
    "writers"
)


def of_custom_object(new: Any, old: Any) -> Iterator[str]:
    """About those that an object has got since ``old`` (None: it is new)."""
    if not new.metadata.finalizers:
        return
    for name in sorted(set(new.metadata.finalizers) - set(old.metadata.finalizers if old is not None else ())):
        for message in names.label_key(name):
            yield f'metadata.finalizers: "{name}": {message}'
        if "/" not in name and name not in _STANDARD:
            yield f'metadata.finalizers: "{name}": {_DOMAIN}'
