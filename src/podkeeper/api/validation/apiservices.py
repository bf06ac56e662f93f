"""APIServices: which server answers for a group and version.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from podkeeper.api.apiregistration import v1 as registration

_MAX_GROUP_PRIORITY = 20_000
_MAX_VERSION_PRIORITY = 1000
_STATUSES = ("True", "False", "Unknown")


def api_service(found: Found, obj: registration.APIService) -> None:
    """A new or changed APIService."""
    spec = obj.spec
    wanted = f"{spec.version}.{spec.group}"
    if obj.metadata.name and obj.metadata.name != wanted:
        found.invalid("metadata.name", obj.metadata.name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if spec.group:
        found.check("spec.group", spec.group, names.dns_subdomain)
    elif spec.version != "v1":
        found.required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    found.check("spec.version", spec.version, names.dns_1035_label)
    if not 0 < spec.group_priority_minimum <= _MAX_GROUP_PRIORITY:
        why = f"must be positive and less than {_MAX_GROUP_PRIORITY}"
        found.invalid("spec.groupPriorityMinimum", spec.group_priority_minimum, why)
    if not 0 < spec.version_priority <= _MAX_VERSION_PRIORITY:
        found.invalid(
            "spec.versionPriority", spec.version_priority, f"must be positive and less than {_MAX_VERSION_PRIORITY}"
        )
    _service(found, spec)


def api_service_update(found: Found, new: registration.APIService, old: registration.APIService) -> None:
    """Everything may change."""
    api_service(found, new)


def api_service_status_update(found: Found, new: registration.APIService, old: registration.APIService) -> None:
    """Conditions hold, do not hold, or nobody knows."""
    for path, condition in indexed("status.conditions", new.status.conditions):
        if condition.status not in _STATUSES:
            found.unsupported(f"{path}.status", condition.status, _STATUSES)


def _service(found: Found, spec: registration.APIServiceSpec) -> None:
    insecure = bool(spec.insecure_skip_tls_verify)
    service = spec.service
    if service is None:
        if spec.ca_bundle:
            size = len(spec.ca_bundle) * 3 // 4 - spec.ca_bundle[-2:].count("=")
            found.invalid("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
        if insecure:
            why = "local APIServices may not have insecureSkipTLSVerify"
            found.invalid("spec.insecureSkipTLSVerify", insecure, why)
        return
    for name, value in (("namespace", service.namespace), ("name", service.name)):
        if not value:
            found.required(f"spec.service.{name}")
    if insecure and spec.ca_bundle:
        found.invalid("spec.insecureSkipTLSVerify", insecure, "may not be true if caBundle is present")
