"""CustomResourceDefinitions: their name, their names, their versions. Schemas are judged in ``schemas``.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podkeeper.api import codec, names
from podkeeper.api.structural import fieldpaths
from podkeeper.api.structural.schema import Schema, parse
from podkeeper.api.validation import schemadefaults, schemas, webhooks
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podkeeper.api.apiextensions import v1 as apiextensions

_APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
_UNAPPROVED = (
    f'protected groups must have approval annotation "{_APPROVAL}", '
    "see https://github.com/kubernetes/enhancements/pull/1111"
)
_KEEP_UNKNOWN = (
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
)
_REVIEWS = ("v1", "v1beta1")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_STILL_STORED = (
    "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a "
    "storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
)
_SELECTABLE_TYPES = ("string", "boolean", "integer")
_NOT_SELECTABLE = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)
MAX_SELECTABLE_FIELDS = 8
_MIXED_CASE = "may have mixed case, but should otherwise match: "


def custom_resource_definition(found: Found, obj: apiextensions.CustomResourceDefinition) -> None:
    """A new definition."""
    spec = obj.spec
    if obj.metadata.name != f"{spec.names.plural}.{spec.group}":
        found.invalid("metadata.name", obj.metadata.name, 'must be spec.names.plural+"."+spec.group')
    protected = any(f".{spec.group}".endswith(f".{domain}") for domain in _PROTECTED)
    if protected and not obj.metadata.annotations.get(_APPROVAL):
        found.required(f"metadata.annotations[{_APPROVAL}]", _UNAPPROVED)
    _definition(found, spec)


def custom_resource_definition_update(
    found: Found, new: apiextensions.CustomResourceDefinition, old: apiextensions.CustomResourceDefinition
) -> None:
    """Group and plural stay; scope and kind stay once the resource is served."""
    _definition(found, new.spec)
    if any(each.type == "Established" and each.status == "True" for each in old.status.conditions):
        found.unchanged("spec.scope", new.spec.scope, old.spec.scope)
        found.unchanged("spec.names.kind", new.spec.names.kind, old.spec.names.kind)
    found.unchanged("spec.group", new.spec.group, old.spec.group)
    found.unchanged("spec.names.plural", new.spec.names.plural, old.spec.names.plural)
    known = {version.name for version in new.spec.versions}
    for path, stored in indexed("status.storedVersions", new.status.stored_versions):
        if stored not in known:
            found.invalid(path, stored, _STILL_STORED.format(stored))
    for version in new.spec.versions:
        if version.storage and new.status.stored_versions and version.name not in new.status.stored_versions:
            why = f"must have the storage version {version.name}"
            found.invalid("status.storedVersions", new.status.stored_versions, why)


def _definition(found: Found, spec: apiextensions.CustomResourceDefinitionSpec) -> None:
    if not spec.group:
        found.required("spec.group")
    elif messages := names.dns_subdomain(spec.group):
        found.invalid("spec.group", spec.group, ",".join(messages))
    elif "." not in spec.group:
        found.invalid("spec.group", spec.group, "should be a domain with at least one dot")
    found.one_of("spec.scope", spec.scope, ("Cluster", "Namespaced"))
    _versions(found, spec)
    if spec.preserve_unknown_fields:
        found.invalid("spec.preserveUnknownFields", True, _KEEP_UNKNOWN)
    _schemas(found, spec)
    _names(found, "spec.names", spec.names)
    if spec.conversion is not None:
        _conversion(found, "spec.conversion", spec.conversion)


def _versions(found: Found, spec: apiextensions.CustomResourceDefinitionSpec) -> None:
    for path, version in indexed("spec.versions", spec.versions):
        if messages := names.dns_1035_label(version.name):
            found.invalid(f"{path}.name", version.name, ",".join(messages))
        for inner, column in indexed(f"{path}.additionalPrinterColumns", version.additional_printer_columns):
            if not column.name:
                found.required(f"{inner}.name")
            found.one_of(f"{inner}.type", column.type, _COLUMN_TYPES)
            if not column.json_path:
                found.required(f"{inner}.JSONPath")
        _subresources(found, f"{path}.subresources.scale", version)
    listed = [version.name for version in spec.versions]
    if len(set(listed)) < len(listed):
        found.invalid("spec.versions", spec.versions, "must contain unique version names")
    if sum(version.storage for version in spec.versions) != 1:
        found.invalid("spec.versions", spec.versions, "must have exactly one version marked as storage version")


def _subresources(found: Found, at: str, version: apiextensions.CustomResourceDefinitionVersion) -> None:
    scale = version.subresources.scale if version.subresources is not None else None
    if scale is None:
        return
    _scale_path(found, f"{at}.specReplicasPath", scale.spec_replicas_path, (".spec.",), "under .spec")
    _scale_path(found, f"{at}.statusReplicasPath", scale.status_replicas_path, (".status.",), "under .status")
    if scale.label_selector_path:
        either = "under either .spec or .status"
        _scale_path(found, f"{at}.labelSelectorPath", scale.label_selector_path, (".spec.", ".status."), either)


def _scale_path(found: Found, at: str, path: str, below: tuple[str, ...], where: str) -> None:
    if not path:
        found.required(at)
    elif not path.startswith("."):
        found.invalid(at, path, "must be a simple json path starting with .")
    elif not path.startswith(below):
        found.invalid(at, path, f"should be a json path {where}")


def _selectable(found: Found, at: str, fields: Sequence[apiextensions.SelectableField], schema: Schema) -> None:
    known: set[str] = set()
    for path, each in indexed(at, fields):
        place = f"{path}.jsonPath"
        if not each.json_path:
            found.required(place)
            continue
        try:
            shown, target = fieldpaths.resolve(each.json_path, schema, quoted=False)
        except fieldpaths.BadPath as error:
            found.invalid(place, each.json_path, f"is an invalid path: {error}")
            continue
        if shown.partition(".")[0] == "metadata":
            found.invalid(place, each.json_path, "must not point to fields in metadata")
        if target.type not in _SELECTABLE_TYPES:
            found.invalid(place, each.json_path, _NOT_SELECTABLE)
        if shown in known:
            found.duplicate(place, each.json_path)
        known.add(shown)
    if len(known) > MAX_SELECTABLE_FIELDS:
        found.too_many(at, len(known), MAX_SELECTABLE_FIELDS)


def _schemas(found: Found, spec: apiextensions.CustomResourceDefinitionSpec) -> None:
    """A schema that all versions share is shown where the first definitions had it."""
    given = [version.schema for version in spec.versions]
    for path, version in indexed("spec.versions", spec.versions):
        if version.schema is None or version.schema.open_api_v3_schema is None:
            found.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
    shared = bool(given) and all(schema == given[0] for schema in given)
    for index, schema in enumerate(given[:1] if shared else given):
        if schema is not None and schema.open_api_v3_schema is not None:
            at = "spec.validation" if shared else f"spec.versions[{index}].schema"
            parsed = _schema(found, f"{at}.openAPIV3Schema", codec.to_tree(schema.open_api_v3_schema))
            if parsed is not None:
                concerned = range(len(given)) if shared else (index,)
                for number in concerned:
                    at = f"spec.versions[{number}].selectableFields"
                    _selectable(found, at, spec.versions[number].selectable_fields, parsed)


def _schema(found: Found, at: str, tree: dict[str, Any]) -> Schema | None:
    """A schema and, if it is good, its rules; the schema, unless it is bad."""
    mistakes = Found()
    schemas.structural(mistakes, at, tree)
    found.extend(mistakes)
    parsed = None if mistakes else parse(tree)
    if parsed is None:
        return None
    judged = Found()
    if parsed.has_rules:
        # Most definitions have none, and the language is large.
        from podkeeper.api.validation import schemarules

        schemarules.schema_rules(judged, at, parsed)
    if parsed.has_defaults and not judged:
        schemadefaults.schema_defaults(judged, at, parsed)
    found.extend(judged)
    return parsed


def _names(found: Found, at: str, given: apiextensions.CustomResourceDefinitionNames) -> None:
    for name, value in (
        ("plural", given.plural),
        ("singular", given.singular),
        ("kind", given.kind),
        ("listKind", given.list_kind),
    ):
        if not value:
            found.required(f"{at}.{name}")
    for name, value in (("plural", given.plural), ("singular", given.singular)):
        if value and (messages := names.dns_1035_label(value)):
            found.invalid(f"{at}.{name}", value, ",".join(messages))
    for name, value in (("kind", given.kind), ("listKind", given.list_kind)):
        if value and (messages := names.dns_1035_label(value.lower())):
            found.invalid(f"{at}.{name}", value, _MIXED_CASE + ",".join(messages))
    for name, values in (("shortNames", given.short_names), ("categories", given.categories)):
        for path, value in indexed(f"{at}.{name}", values):
            if messages := names.dns_1035_label(value):
                found.invalid(path, value, ",".join(messages))
    if given.kind and given.kind == given.list_kind:
        found.invalid(f"{at}.listKind", given.list_kind, "kind and listKind may not be the same")


def _conversion(found: Found, at: str, conversion: apiextensions.CustomResourceConversion) -> None:
    found.one_of(f"{at}.strategy", conversion.strategy, ("None", "Webhook"))
    webhook = conversion.webhook
    if conversion.strategy != "Webhook":
        if webhook is not None:
            why = "should not be set when strategy is not set to Webhook"
            found.forbidden(f"{at}.webhookClientConfig", why)
        return
    config = webhook.client_config if webhook is not None else None
    if webhook is None or config is None:
        found.required(f"{at}.webhookClientConfig", "required when strategy is set to Webhook")
    elif (config.url is None) == (config.service is None):
        found.required(f"{at}.webhookClientConfig", "exactly one of url or service is required")
    elif config.url is not None:
        webhooks.service_url(found, f"{at}.webhookClientConfig.url", config.url)
    else:
        webhooks.service_reference(found, f"{at}.webhookClientConfig.service", config.service)
    if webhook is not None and not webhook.conversion_review_versions:
        found.required(f"{at}.conversionReviewVersions")
    elif webhook is not None and not set(webhook.conversion_review_versions) & set(_REVIEWS):
        why = f"must include at least one of {', '.join(_REVIEWS)}"
        found.invalid(f"{at}.conversionReviewVersions", webhook.conversion_review_versions, why)
