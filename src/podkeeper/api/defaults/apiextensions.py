"""CustomResourceDefinition and APIService: the kinds that extend the API."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.admissionregistration import service_reference
from podkeeper.api.defaults.trees import child, fill, fill_empty, members

Tree = dict[str, Any]


def custom_resource_definition(tree: Tree) -> None:
    """CustomResourceDefinition: names derived from the kind, no conversion, the storage version as stored."""
    spec = child(tree, "spec")
    names = child(spec, "names")
    kind = names.get("kind") or ""
    if kind:
        fill_empty(names, "singular", kind.lower())
        fill_empty(names, "listKind", f"{kind}List")
    conversion = child(spec, "conversion")
    fill_empty(conversion, "strategy", "None")
    service_reference((conversion.get("webhook") or {}).get("clientConfig"))
    stored = [version.get("name", "") for version in members(spec, "versions") if version.get("storage")]
    if stored:
        fill_empty(child(tree, "status"), "storedVersions", stored[:1])


def api_service(tree: Tree) -> None:
    """APIService: the service's port is 443."""
    service = (tree.get("spec") or {}).get("service")
    if service is not None:
        fill(service, "port", 443)
