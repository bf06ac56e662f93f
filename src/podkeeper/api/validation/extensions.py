"""What extends the API: definitions of custom resources, webhooks, certificate requests.

Source: https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.apiextensions import v1 as apiextensions
    from podkeeper.api.certificates import v1 as certificates

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_MAX_TIMEOUT = 30
_MIN_EXPIRATION = 600


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


def webhooks(found: Found, obj: Any) -> None:
    """A new or changed configuration of mutating or validating webhooks."""
    seen = set()
    for path, hook in indexed("webhooks", obj.webhooks):
        if hook.name.count(".") < 2:
            found.invalid(
                f"{path}.name", hook.name, "should be a domain with at least three segments separated by dots"
            )
        found.check(f"{path}.name", hook.name, names.dns_subdomain)
        if hook.name in seen:
            found.duplicate(f"{path}.name", hook.name)
        seen.add(hook.name)
        _webhook(found, path, hook)


def webhooks_update(found: Found, new: Any, old: Any) -> None:
    """Everything may change."""
    webhooks(found, new)


def certificate_request(found: Found, obj: certificates.CertificateSigningRequest) -> None:
    """A new request for a certificate."""
    spec = obj.spec
    if not spec.request:
        found.required("spec.request")
    if not spec.usages:
        found.required("spec.usages")
    if not spec.signer_name:
        found.required("spec.signerName")
    elif "/" not in spec.signer_name:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        found.invalid("spec.signerName", spec.signer_name, why)
    seconds = spec.expiration_seconds
    if seconds is not None and seconds < _MIN_EXPIRATION:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        found.invalid("spec.expirationSeconds", seconds, why)


def certificate_request_update(
    found: Found, new: certificates.CertificateSigningRequest, old: certificates.CertificateSigningRequest
) -> None:
    """What was asked for stays."""
    found.unchanged("spec", new.spec, old.spec)


def _webhook(found: Found, at: str, hook: Any) -> None:
    for path, rule in indexed(f"{at}.rules", hook.rules):
        for name, attribute in (
            ("operations", "operations"),
            ("apiGroups", "api_groups"),
            ("apiVersions", "api_versions"),
            ("resources", "resources"),
        ):
            if not getattr(rule, attribute):
                found.required(f"{path}.{name}")
        for inner, operation in indexed(f"{path}.operations", rule.operations):
            if operation not in _OPERATIONS:
                found.unsupported(inner, operation, _OPERATIONS)
    if not hook.admission_review_versions:
        found.required(f"{at}.admissionReviewVersions", "must specify one of v1, v1beta1")
    for name, value, supported in (
        ("failurePolicy", hook.failure_policy, ("Fail", "Ignore")),
        ("matchPolicy", hook.match_policy, ("Equivalent", "Exact")),
    ):
        if value and value not in supported:
            found.unsupported(f"{at}.{name}", value, supported)
    found.one_of(f"{at}.sideEffects", hook.side_effects, ("None", "NoneOnDryRun"))
    seconds = hook.timeout_seconds
    if seconds is not None and not 1 <= seconds <= _MAX_TIMEOUT:
        why = f"the timeout value must be between 1 and {_MAX_TIMEOUT} seconds"
        found.invalid(f"{at}.timeoutSeconds", seconds, why)
    label_selector(found, f"{at}.namespaceSelector", hook.namespace_selector)
    label_selector(found, f"{at}.objectSelector", hook.object_selector)
    config = hook.client_config
    if (config.url is None) == (config.service is None):
        found.required(f"{at}.clientConfig", "exactly one of url or service is required")
