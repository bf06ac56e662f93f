"""CustomResourceDefinitions: their name, their names, their versions. Versions are judged in ``extensionversions``,
schemas in ``schemas``.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ and upstream's
pkg/apis/apiextensions/validation, in whose order mistakes are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from podkeeper.api import names
from podkeeper.api.validation import extensionversions, webhooks
from podkeeper.api.validation.fields import Found, indexed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podkeeper.api.apiextensions import v1 as apiextensions

APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
_SEE = "see https://github.com/kubernetes/enhancements/pull/1111"
_KEEP_UNKNOWN = (
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
)
_REVIEWS = ("v1", "v1beta1")
_STILL_STORED = (
    "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a "
    "storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
)
_MIXED_CASE = "may have mixed case, but should otherwise match: "
_NO_WEBHOOK = "should not be set when strategy is not set to Webhook"
_NO_CERTIFICATES = "unable to load root certificates: unable to parse bytes as PEM block"


def custom_resource_definition(found: Found, obj: apiextensions.CustomResourceDefinition) -> None:
    """A new definition."""
    spec = obj.spec
    if obj.metadata.name != f"{spec.names.plural}.{spec.group}":
        found.invalid("metadata.name", obj.metadata.name, 'must be spec.names.plural+"."+spec.group')
    _definition(found, spec, established=False)
    _status(found, obj)
    _approval(found, obj, None)
    _preserves(found, spec)


def custom_resource_definition_update(
    found: Found, new: apiextensions.CustomResourceDefinition, old: apiextensions.CustomResourceDefinition
) -> None:
    """Group and plural stay; scope and kind stay once the resource is served."""
    established = any(each.type == "Established" and each.status == "True" for each in old.status.conditions)
    _definition(found, new.spec, established)
    if established:
        found.unchanged("spec.scope", new.spec.scope, old.spec.scope)
        found.unchanged("spec.names.kind", new.spec.names.kind, old.spec.names.kind)
    found.unchanged("spec.group", new.spec.group, old.spec.group)
    found.unchanged("spec.names.plural", new.spec.names.plural, old.spec.names.plural)
    _status(found, new)
    _approval(found, new, old)
    _preserves(found, new.spec)


def custom_resource_definition_status(
    found: Found, new: apiextensions.CustomResourceDefinition, old: apiextensions.CustomResourceDefinition
) -> None:
    """A new status: the names in it."""
    _names(found, "status.acceptedNames", new.status.accepted_names)


def approval_state(annotations: dict[str, str]) -> tuple[str, str]:
    """What the annotation of a definition in a group of the project says: Approved, Bypassed, Invalid or Missing; and
    why that is not enough."""
    given = annotations.get(APPROVAL, "")
    if not given:
        return "Missing", f'protected groups must have approval annotation "{APPROVAL}", {_SEE}'
    if given.startswith("unapproved"):
        return "Bypassed", f"not approved: {shown(given)}"
    parts = urlsplit(given)
    if parts.scheme and parts.netloc:
        return "Approved", f"approved in {given}"
    either = 'with either a URL or a reason starting with "unapproved"'
    return "Invalid", f'protected groups must have approval annotation "{APPROVAL}" {either}, {_SEE}'


def is_protected(group: str) -> bool:
    """Whether a group is one of the project's."""
    return any(f".{group}".endswith(f".{domain}") for domain in _PROTECTED)


def _approval(
    found: Found, new: apiextensions.CustomResourceDefinition, old: apiextensions.CustomResourceDefinition | None
) -> None:
    if not is_protected(new.spec.group):
        return
    state, why = approval_state(dict(new.metadata.annotations))
    if old is not None and approval_state(dict(old.metadata.annotations))[0] == state:
        return
    at = f"metadata.annotations[{APPROVAL}]"
    if state == "Missing":
        found.required(at, why)
    elif state == "Invalid":
        found.invalid(at, new.metadata.annotations[APPROVAL], why)


def _preserves(found: Found, spec: apiextensions.CustomResourceDefinitionSpec) -> None:
    if spec.preserve_unknown_fields:
        found.invalid("spec.preserveUnknownFields", True, _KEEP_UNKNOWN)


def _definition(found: Found, spec: apiextensions.CustomResourceDefinitionSpec, established: bool) -> None:
    if not spec.group:
        found.required("spec.group")
    elif messages := names.dns_subdomain(spec.group):
        found.invalid("spec.group", spec.group, ",".join(messages))
    elif "." not in spec.group:
        found.invalid("spec.group", spec.group, "should be a domain with at least one dot")
    found.one_of("spec.scope", spec.scope, ("Cluster", "Namespaced"))
    versions = extensionversions.Versions(spec)
    versions.judge_each(found)
    listed = [version.name for version in spec.versions]
    if len(set(listed)) < len(listed):
        found.invalid("spec.versions", spec.versions, "must contain unique version names")
    if sum(version.storage for version in spec.versions) != 1:
        found.invalid("spec.versions", spec.versions, "must have exactly one version marked as storage version")
    if listed and (messages := names.dns_1035_label(listed[0])):
        found.invalid("spec.version", listed[0], ",".join(messages))
    for name in ("plural", "singular", "kind", "list_kind"):
        if not getattr(spec.names, name):
            found.required(f"spec.names.{'listKind' if name == 'list_kind' else name}")
    _names(found, "spec.names", spec.names)
    versions.judge_shared(found)
    if spec.conversion is not None:
        _conversion(found, "spec.conversion", spec.conversion, established)


def _names(found: Found, at: str, given: apiextensions.CustomResourceDefinitionNames) -> None:
    for name, value in (("plural", given.plural), ("singular", given.singular)):
        if value and (messages := names.dns_1035_label(value)):
            found.invalid(f"{at}.{name}", value, ",".join(messages))
    for name, value in (("kind", given.kind), ("listKind", given.list_kind)):
        if value and (messages := names.dns_1035_label(value.lower())):
            found.invalid(f"{at}.{name}", value, _MIXED_CASE + ",".join(messages))
    _labels(found, f"{at}.shortNames", given.short_names)
    if given.kind and given.kind == given.list_kind:
        found.invalid(f"{at}.listKind", given.list_kind, "kind and listKind may not be the same")
    _labels(found, f"{at}.categories", given.categories)


def _labels(found: Found, at: str, values: Sequence[str]) -> None:
    for path, value in indexed(at, values):
        if messages := names.dns_1035_label(value):
            found.invalid(path, value, ",".join(messages))


def _status(found: Found, obj: apiextensions.CustomResourceDefinition) -> None:
    """The names in the status, and the versions that objects may be stored in."""
    _names(found, "status.acceptedNames", obj.status.accepted_names)
    stored, known = obj.status.stored_versions, {version.name for version in obj.spec.versions}
    for version in obj.spec.versions:
        if version.storage and stored and version.name not in stored:
            found.invalid("status.storedVersions", stored, f"must have the storage version {version.name}")
    for path, name in indexed("status.storedVersions", stored):
        if name not in known:
            found.invalid(path, name, _STILL_STORED.format(name))


def _conversion(found: Found, at: str, conversion: apiextensions.CustomResourceConversion, established: bool) -> None:
    found.one_of(f"{at}.strategy", conversion.strategy, ("None", "Webhook"))
    webhook = conversion.webhook
    config = webhook.client_config if webhook is not None else None
    reviews = webhook.conversion_review_versions if webhook is not None else ()
    if conversion.strategy != "Webhook":
        if config is not None:
            found.forbidden(f"{at}.webhookClientConfig", _NO_WEBHOOK)
        if reviews:
            found.forbidden(f"{at}.conversionReviewVersions", _NO_WEBHOOK)
        return
    if config is None:
        found.required(f"{at}.webhookClientConfig", "required when strategy is set to Webhook")
    else:
        _client(found, f"{at}.webhookClientConfig", config, established)
    _reviews(found, f"{at}.conversionReviewVersions", reviews)


def _client(found: Found, at: str, config: apiextensions.WebhookClientConfig, established: bool) -> None:
    if (config.url is None) == (config.service is None):
        found.required(at, "exactly one of url or service is required")
    elif config.url is not None:
        webhooks.service_url(found, f"{at}.url", config.url)
    else:
        webhooks.service_reference(found, f"{at}.service", config.service)
    if established and config.ca_bundle and not webhooks.has_certificates(config.ca_bundle):
        found.invalid(f"{at}.caBundle", config.ca_bundle, _NO_CERTIFICATES)


def _reviews(found: Found, at: str, versions: Sequence[str]) -> None:
    if not versions:
        found.required(at)
        return
    known: set[str] = set()
    for path, version in indexed(at, versions):
        if version in known:
            found.invalid(path, version, "duplicate version")
            continue
        known.add(version)
        found.check(path, version, names.dns_1035_label)
    if not known & set(_REVIEWS):
        found.invalid(at, versions, f"must include at least one of {', '.join(_REVIEWS)}")
