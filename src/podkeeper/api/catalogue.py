"""The catalogue: every resource this API serves, as data.

``Resource`` is one row. The rows of the built-in kinds stand in ``api/resource_rows.py``, made by the tool
tools/generate_types.py from the published discovery documents; ``api/resources.py`` looks them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class Subresource(Struct, frozen=True):
    """One subresource: its verbs and the kind it speaks, e.g. ``scale`` -> autoscaling/v1 Scale."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


class PrinterColumn(Struct, frozen=True):
    """A column that a definition of a custom resource asks for; ``path`` is JSONPath."""

    name: str
    type: str
    path: str
    format: str = ""
    description: str = ""
    priority: int = 0


class Resource(Struct, frozen=True, eq=False):
    """One served resource. ``name`` is the plural of the path; ``type_name`` locates the struct class
    (``podkeeper.api.core.v1:Pod``) and is empty for a custom resource, whose objects are plain trees and whose
    ``columns``, ``schema`` (its openAPIV3Schema), ``selectable`` fields and ``list_name`` its definition gives.
    ``deprecation`` is what clients of this version are told."""

    group: str
    version: str
    name: str
    kind: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    type_name: str = ""
    enabled: bool = True
    columns: tuple[PrinterColumn, ...] = ()
    deprecation: str = ""
    schema: Mapping[str, Any] | None = None
    selectable: tuple[str, ...] = ()
    list_name: str = ""

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``, as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        """The kind of its lists: ``PodList``; a definition may say another."""
        return self.list_name or f"{self.kind}List"

    @property
    def qualified_name(self) -> str:
        """``pods`` or ``deployments.apps``."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def path_prefix(self) -> str:
        """``/api/v1`` or ``/apis/apps/v1``."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or a subresource of it."""
        parts = [self.path_prefix]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.name)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)
