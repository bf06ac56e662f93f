"""The versions of a CustomResourceDefinition: their schemas, subresources, columns and selectable fields.

What all versions have alike is told of as upstream's first definitions had it, once for all of them, as
``spec.validation``, ``spec.subresources``, ``spec.additionalPrinterColumns`` and ``spec.selectableFields``.

Source: apiextensions-apiserver, pkg/apis/apiextensions/validation and v1/conversion.go.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from podkeeper.api import codec, names
from podkeeper.api.structural import fieldpaths
from podkeeper.api.structural.schema import Schema, parse
from podkeeper.api.validation import schemadefaults, schemas
from podkeeper.api.validation.fields import Found, indexed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podkeeper.api.apiextensions import v1 as apiextensions

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE_TYPES = ("string", "boolean", "integer")
_NOT_SELECTABLE = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)
MAX_SELECTABLE_FIELDS = 8
_NO_SCHEMA = "selectableFields may only be set when validations.schema is included"
_MOST_WARNED = 256
_UNPRINTABLE = "must only contain printable UTF-8 characters; non-printable character found at index"


class Versions:
    """Those of one definition."""

    def __init__(self, spec: apiextensions.CustomResourceDefinitionSpec) -> None:
        self._versions = spec.versions

    def judge_each(self, found: Found) -> None:
        """What is said of one version and not alike of all."""
        for path, version in indexed("spec.versions", self._versions):
            if version.schema is None or version.schema.open_api_v3_schema is None:
                found.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        for path, version in indexed("spec.versions", self._versions):
            if messages := names.dns_1035_label(version.name):
                found.invalid(f"{path}.name", version.name, ",".join(messages))
            _deprecation(found, f"{path}.deprecationWarning", version)
            schema = None
            if not self._same_schema:
                schema = _schema(found, f"{path}.schema.openAPIV3Schema", version)
            elif not self._same_fields:
                schema = _parsed(version)
            if not self._same_subresources:
                _subresources(found, f"{path}.subresources", version)
            if not self._same_columns:
                _columns(found, f"{path}.additionalPrinterColumns", version)
            if not self._same_fields and schema is not None:
                _selectable(found, f"{path}.selectableFields", version.selectable_fields, schema)

    def judge_shared(self, found: Found) -> None:
        """What all versions have alike."""
        if not self._versions:
            return
        first = self._versions[0]
        has_status = any(_has_status(each) for each in self._versions)
        schema = _parsed(first) if not self._same_schema else None
        if self._same_schema:
            schema = _schema(found, "spec.validation.openAPIV3Schema", first, has_status)
        if self._same_subresources:
            _subresources(found, "spec.subresources", first)
        if self._same_columns:
            _columns(found, "spec.additionalPrinterColumns", first)
        if self._same_fields and first.selectable_fields:
            if first.schema is None or first.schema.open_api_v3_schema is None:
                found.invalid("spec.selectableFields", "", _NO_SCHEMA)
            elif schema is not None:
                _selectable(found, "spec.selectableFields", first.selectable_fields, schema)

    def _alike(self, member: str) -> bool:
        return all(getattr(each, member) == getattr(self._versions[0], member) for each in self._versions)

    @cached_property
    def _same_schema(self) -> bool:
        return self._alike("schema")

    @cached_property
    def _same_subresources(self) -> bool:
        return self._alike("subresources")

    @cached_property
    def _same_columns(self) -> bool:
        return self._alike("additional_printer_columns")

    @cached_property
    def _same_fields(self) -> bool:
        return self._alike("selectable_fields")


def _has_status(version: apiextensions.CustomResourceDefinitionVersion) -> bool:
    return version.subresources is not None and version.subresources.status is not None


def _parsed(version: apiextensions.CustomResourceDefinitionVersion) -> Schema | None:
    """A version's schema, unless it is bad; told elsewhere what is wrong with it."""
    return _schema(Found(), "", version)


def _schema(
    found: Found, at: str, version: apiextensions.CustomResourceDefinitionVersion, has_status: bool | None = None
) -> Schema | None:
    """A schema and, if it is good, its rules; the schema, unless it is bad."""
    if version.schema is None or version.schema.open_api_v3_schema is None:
        return None
    tree: dict[str, Any] = codec.to_tree(version.schema.open_api_v3_schema)
    before = len(found)
    schemas.root(found, at, tree, _has_status(version) if has_status is None else has_status)
    structure, said = Found(), Found()
    schemas.structural(structure, at, tree)
    schemas.described(said, at, tree)
    parsed = None if structure or said else parse(tree)
    if parsed is not None and parsed.has_defaults:
        schemadefaults.schema_defaults(structure, at, parsed)
    found.extend([*structure, *said])
    if parsed is not None and parsed.has_rules and len(found) == before:
        # Most definitions have none, and the language is large.
        from podkeeper.api.validation import schemarules

        schemarules.schema_rules(found, at, parsed)
    return parsed


def _deprecation(found: Found, at: str, version: apiextensions.CustomResourceDefinitionVersion) -> None:
    text = version.deprecation_warning
    if not text:
        return
    if not version.deprecated:
        found.invalid(at, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > _MOST_WARNED:
        found.invalid(at, text, f"must be <= {_MOST_WARNED} characters long")
    odd = next((index for index, character in enumerate(text) if not character.isprintable()), None)
    if odd is not None:
        found.invalid(at, text, f"{_UNPRINTABLE} {len(text[:odd].encode())}")


def _columns(found: Found, at: str, version: apiextensions.CustomResourceDefinitionVersion) -> None:
    for inner, column in indexed(at, version.additional_printer_columns):
        types, formats = (f"must be one of {','.join(listed)}" for listed in (_COLUMN_TYPES, _COLUMN_FORMATS))
        if not column.name:
            found.required(f"{inner}.name")
        if not column.type:
            found.required(f"{inner}.type", types)
        elif column.type not in _COLUMN_TYPES:
            found.invalid(f"{inner}.type", column.type, types)
        if column.format and column.format not in _COLUMN_FORMATS:
            found.invalid(f"{inner}.format", column.format, formats)
        if not column.json_path:
            found.required(f"{inner}.JSONPath")
        else:
            _simple_path(found, f"{inner}.JSONPath", column.json_path)


def _simple_path(found: Found, at: str, path: str) -> bool:
    if path.startswith("."):
        return True
    found.invalid(at, path, "must be a simple json path starting with .")
    return False


def _subresources(found: Found, at: str, version: apiextensions.CustomResourceDefinitionVersion) -> None:
    scale = version.subresources.scale if version.subresources is not None else None
    if scale is None:
        return
    _scale_path(found, f"{at}.scale.specReplicasPath", scale.spec_replicas_path, (".spec.",), "under .spec")
    _scale_path(found, f"{at}.scale.statusReplicasPath", scale.status_replicas_path, (".status.",), "under .status")
    if scale.label_selector_path:
        either = "under either .spec or .status"
        _scale_path(found, f"{at}.scale.labelSelectorPath", scale.label_selector_path, (".spec.", ".status."), either)


def _scale_path(found: Found, at: str, path: str, below: tuple[str, ...], where: str) -> None:
    if not path:
        found.required(at)
    elif _simple_path(found, at, path) and not path.startswith(below):
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
