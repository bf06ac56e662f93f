"""Definitions of custom resources.

Source: https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from podkeeper.api.apiextensions import v1 as apiextensions


def custom_resource_definition(found: Found, obj: apiextensions.CustomResourceDefinition) -> None:
    """A new definition: its name, its names, and one stored version."""
    spec = obj.spec
    wanted = f"{spec.names.plural}.{spec.group}"
    if obj.metadata.name != wanted:
        found.invalid("metadata.name", obj.metadata.name, 'must be spec.names.plural+"."+spec.group')
    if not spec.group:
        found.required("spec.group")
    else:
        found.check("spec.group", spec.group, names.dns_subdomain)
        if "." not in spec.group:
            found.invalid("spec.group", spec.group, "should be a domain with at least one dot")
    found.one_of("spec.scope", spec.scope, ("Cluster", "Namespaced"))
    seen = set()
    for path, version in indexed("spec.versions", spec.versions):
        found.check(f"{path}.name", version.name, names.dns_1035_label)
        if version.name in seen:
            found.invalid(f"{path}.name", version.name, "must be unique")
        seen.add(version.name)
        if version.schema is None:
            found.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    if sum(version.storage for version in spec.versions) != 1:
        found.invalid("spec.versions", spec.versions, "must have exactly one version marked as storage version")
    for name, value in (("plural", spec.names.plural), ("kind", spec.names.kind)):
        if not value:
            found.required(f"spec.names.{name}")
        else:
            found.check(f"spec.names.{name}", value.lower(), names.dns_1035_label)


def custom_resource_definition_update(
    found: Found, new: apiextensions.CustomResourceDefinition, old: apiextensions.CustomResourceDefinition
) -> None:
    """Group, names and scope stay."""
    custom_resource_definition(found, new)
    found.unchanged("spec.group", new.spec.group, old.spec.group)
    found.unchanged("spec.names.plural", new.spec.names.plural, old.spec.names.plural)
    established = any(each.type == "Established" and each.status == "True" for each in old.status.conditions)
    if established:
        found.unchanged("spec.scope", new.spec.scope, old.spec.scope)
        found.unchanged("spec.names.kind", new.spec.names.kind, old.spec.names.kind)
