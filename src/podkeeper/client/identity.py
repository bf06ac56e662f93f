"""Which object an object is: the same questions to structs and to plain trees."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


class ObjectKey(NamedTuple):
    """Namespace (empty for cluster-scoped objects) and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Any) -> ObjectKey:
    """Namespace and name of ``obj``."""
    if isinstance(obj, dict):
        metadata = obj.get("metadata") or {}
        return ObjectKey(metadata.get("namespace", ""), metadata.get("name", ""))
    return ObjectKey(obj.metadata.namespace, obj.metadata.name)


def version_of(obj: Any) -> str:
    """The resourceVersion of ``obj``."""
    if isinstance(obj, dict):
        version: str = (obj.get("metadata") or {}).get("resourceVersion", "")
        return version
    found: str = obj.metadata.resource_version
    return found


def without_managed_fields(obj: T) -> T:
    """The object without the book-keeping that no controller reads and that weighs as much as the rest of it."""
    if isinstance(obj, dict):
        metadata = obj.get("metadata") or {}
        if "managedFields" not in metadata:
            return obj
        kept = {name: value for name, value in metadata.items() if name != "managedFields"}
        return obj | {"metadata": kept}  # type: ignore[return-value]
    metadata = getattr(obj, "metadata", None)
    if not getattr(metadata, "managed_fields", ()):
        return obj
    return msgspec.structs.replace(obj, metadata=msgspec.structs.replace(metadata, managed_fields=()))  # type: ignore[type-var]
