"""Bodies of writes on their way to stored bytes: checked, defaulted, typed, encoded.

body tree -> check_kind -> take_in (nulls, unknown fields, types) -> defaults -> ... -> typed -> encode
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from podkeeper.api import codec, defaults, schema, shapes
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import bad_request
from podkeeper.registry import unknown_fields
from podkeeper.registry.custom.view import CustomView
from podkeeper.registry.served import ServedKind
from podkeeper.registry.undecodable import Undecodable, wrong_type
from podkeeper.registry.verbs import FieldValidation, RequestContext

Tree = dict[str, Any]

#: Never taken from a body.
_NOT_TAKEN = ("selfLink",)
#: Set by the server, whatever a body says.
_OVERWRITTEN = (
    *_NOT_TAKEN,
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "uid",
)
#: What a schema says of others in types that take more than schemas, and what it keeps as it is.
_OPEN_SCHEMAS = ("additionalItems", "additionalProperties", "items")
_FREE = ("default", "enum", "example")


def check_kind(resource: Resource, tree: Any) -> None:
    """The body must be an object of the resource's kind; a missing apiVersion or kind is filled in. Raises 400."""
    if not isinstance(tree, dict):
        why = f"json: cannot unmarshal {_json_type(tree)} into Go value of type {resource.version}.{resource.kind}"
        raise Undecodable(resource.kind, resource.version, why)
    api_version = tree.setdefault("apiVersion", resource.api_version) or resource.api_version
    kind = tree.setdefault("kind", resource.kind) or resource.kind
    if api_version != resource.api_version:
        expected = f"the expected API version ({resource.api_version})"
        raise bad_request(f"the API version in the data ({api_version}) does not match {expected}")
    if kind != resource.kind:
        version = str(api_version).rpartition("/")[2]
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}')
    tree["apiVersion"], tree["kind"] = api_version, kind
    if not isinstance(tree.setdefault("metadata", {}), dict | None):
        found = f"json: cannot unmarshal {_json_type(tree['metadata'])}"
        where = f"Go struct field {resource.kind}.metadata" if resource.schema is None else "Go value"
        raise Undecodable(resource.kind, resource.version, f"{found} into {where} of type v1.ObjectMeta")


def take_in(kind: ServedKind, context: RequestContext, tree: Tree, vouched: bool = False) -> Tree:
    """A body without nulls and without what only the server sets, defaults applied. Raises 400.

    ``vouched``: it has no nulls and no unknown fields. Its types have been checked only as far as they mattered here;
    ``typed`` checks the rest.
    """
    if kind.custom is not None:
        return _take_in_custom(kind, kind.custom, context, tree)
    if not vouched and b"null" in msgspec.json.encode(tree):
        tree = shapes.without_nulls(kind.served_class, tree)
    metadata = tree.setdefault("metadata", {})
    if tree.get("status") or not isinstance(metadata, dict):
        # Parts that may be dropped before the whole tree gets its type.
        typed(kind.resource, kind.served_class, tree)
    if not vouched and context.field_validation is not FieldValidation.IGNORE:
        _report_unknown(kind, context, tree)
    _check_overwritten(kind, metadata)
    for member in _NOT_TAKEN:
        metadata.pop(member, None)
    _check_schemas(kind, tree)
    with blaming_types(kind, tree):
        defaults.apply(kind.resource, tree)
    return tree


def _check_schemas(kind: ServedKind, tree: Tree) -> None:
    """The schemas in a definition's body; our types leave open those that may be something else than a schema, such as
    a bool. Raises 400."""
    if kind.resource.kind == "CustomResourceDefinition":
        from podkeeper.api import gojson  # few clients write definitions

        if why := gojson.judge(tree, schema.for_class(kind.served_class).name).error:
            raise Undecodable(kind.resource.kind, kind.resource.version, why)
        if b"null" in msgspec.json.encode(tree):
            _drop_nulls(tree.get("spec"))


def _drop_nulls(part: Any) -> None:
    """From the schemas below, which our types leave open."""
    from podkeeper.api.apiextensions.v1 import JSONSchemaProps

    if isinstance(part, list):
        for each in part:
            _drop_nulls(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in _OPEN_SCHEMAS and isinstance(value, dict):
                part[name] = shapes.without_nulls(JSONSchemaProps, value)
            if name not in _FREE:
                _drop_nulls(part[name])


def _take_in_custom(kind: ServedKind, view: CustomView, context: RequestContext, tree: Tree) -> Tree:
    """A custom object by its schema: what is not specified is reported and goes, defaults come."""
    typed(kind.resource, kind.served_class, tree)
    tree["metadata"] = tree["metadata"] or {}
    tree["metadata"].pop("selfLink", None)
    _report(kind, context, [f'unknown field "{path}"' for path in view.complete(tree)])
    return tree


def _check_overwritten(kind: ServedKind, metadata: Tree) -> None:
    """What the server sets itself is dropped without a look at its type later on."""
    given = {member: metadata[member] for member in _OVERWRITTEN if member in metadata}
    if given:
        typed(kind.resource, kind.served_class, {"metadata": given})


@contextmanager
def blaming_types(kind: ServedKind, tree: Tree) -> Iterator[None]:
    """Code that works on trees takes types for granted: if it fails because one is wrong, that is the client's mistake.

    Raises 400 then; a failure with right types is ours and goes on.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        typed(kind.resource, kind.served_class, tree)
        raise


def typed(resource: Resource, cls: type[msgspec.Struct], tree: Tree) -> msgspec.Struct:
    """The struct of a tree. Raises 400 in upstream's words where a value has the wrong type."""
    try:
        return codec.from_tree(cls, tree)
    except codec.WrongType as error:
        raise wrong_type(resource, cls, tree, error) from error


def _report_unknown(kind: ServedKind, context: RequestContext, tree: Tree) -> None:
    paths = unknown_fields.paths(kind.served_class, tree)
    if paths and context.field_validation is FieldValidation.STRICT:
        typed(kind.resource, kind.served_class, tree)  # a value of a wrong type is told before unknown fields
    _report(kind, context, [f'unknown field "{path}"' for path in paths])


def _report(kind: ServedKind, context: RequestContext, unknown: list[str]) -> None:
    complaints = [*context.complaints, *unknown]
    if not complaints or context.field_validation is FieldValidation.IGNORE:
        return
    if context.field_validation is FieldValidation.STRICT:
        why = f"strict decoding error: {', '.join(complaints)}"
        raise Undecodable(kind.resource.kind, kind.resource.version, why)
    context.warnings.extend(complaints)


def _json_type(value: Any) -> str:
    names = {list: "array", str: "string", bool: "bool", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "object")
