"""Objects in the bodies of writes, checked as upstream's decoder checks them.

A body is read fast; only one that repeats fields, or whose write has failed, is looked at closely: then the client is
told of the mistake that upstream's decoder would have found first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from podkeeper.api import codec, schema, shapes
from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import bodies
from podkeeper.apiserver.negotiation import JSON, PROTOBUF, body_type
from podkeeper.foundation.http import Request
from podkeeper.registry import unknown_fields
from podkeeper.registry.documents import typed
from podkeeper.registry.undecodable import Undecodable
from podkeeper.registry.verbs import FieldValidation, RequestContext

Tree = dict[str, Any]


class Expected(Struct, frozen=True):
    """What a path expects: objects of ``resource``, or what the subresource speaks instead."""

    resource: Resource
    kind: str
    api_version: str

    @classmethod
    def of(cls, resource: Resource, subresource: str = "") -> Expected:
        """``subresource`` may be empty or unknown to the resource."""
        sub = resource.subresources.get(subresource)
        if sub is None:
            return cls(resource, resource.kind, resource.api_version)
        return cls(resource, sub.kind, f"{sub.group}/{sub.version}" if sub.group else sub.version)

    @property
    def type_name(self) -> str:
        """The type in the schema; empty for a custom resource."""
        group, _, version = self.api_version.rpartition("/")
        found = schema.for_kind(group, version, self.kind)
        return found.name if found else ""


def read(request: Request, expected: Expected, context: RequestContext) -> Tree:
    """The object in the body. Raises 400, 413 and 415; what strict decoding complains of is warned of or refused."""
    complaints: list[str] = []
    decoded = bodies.decode(request, expected.kind, expected.api_version, complaints)
    whole = context.field_validation is FieldValidation.IGNORE or not (complaints or _repeats(decoded, request))
    tree = bodies.identify(decoded, expected.resource, expected.kind, expected.api_version, request.body)
    if not whole:
        document = decoded if complaints else _document(request)[0]
        _report(_judged(document, complaints, expected), expected, context)
    return tree


def read_typed(request: Request, row: Resource, context: RequestContext) -> Tree:
    """The same for an object that is not stored, whose types are taken for granted afterwards."""
    expected, cls = Expected.of(row), codec.struct_class(row)
    tree = read(request, expected, context)
    try:
        typed(row, cls, tree)
    except Undecodable as error:
        raise mistake(request, expected, context) or error from None
    unknown = [] if context.field_validation is FieldValidation.IGNORE else unknown_fields.paths(cls, tree)
    if unknown and context.field_validation is FieldValidation.STRICT:
        raise _undecodable(expected, f"strict decoding error: {', '.join(map(_unknown, unknown))}")
    context.warnings.extend(map(_unknown, unknown))
    if b"null" in msgspec.json.encode(tree):
        tree = shapes.without_nulls(cls, tree)
    return tree


def _unknown(path: str) -> str:
    return f'unknown field "{path}"'


def mistake(request: Request, expected: Expected, context: RequestContext) -> Undecodable | None:
    """What upstream's decoder says of a body whose write has failed; None when it finds nothing wrong."""
    if context.field_validation is not FieldValidation.STRICT and _surely_decodes(request, expected):
        return None
    try:
        error, complaints = _judged(*_document(request), expected)
    except (ValueError, RecursionError):
        return None
    if not error and complaints and context.field_validation is FieldValidation.STRICT:
        error = f"strict decoding error: {', '.join(complaints)}"
    return _undecodable(expected, error) if error else None


def _surely_decodes(request: Request, expected: Expected) -> bool:
    """Whether a body of JSON is known, without a long look, to fit its type."""
    if not expected.type_name or body_type(request.headers.get(b"content-type", b"")) != JSON:
        return False
    package, _, name = expected.type_name.rpartition(".")
    try:
        codec.decode(codec.load_class(f"podkeeper.api.{package.replace('/', '.')}:{name}"), request.body)
    except (codec.CodecError, ValueError):
        return False
    return True


def _repeats(decoded: Any, request: Request) -> bool:
    """Whether a field stands twice in a body of JSON."""
    is_json = body_type(request.headers.get(b"content-type", b"")) == JSON
    return is_json and not bodies.is_whole(decoded, request.body)


def _report(judged: tuple[str, tuple[str, ...]], expected: Expected, context: RequestContext) -> None:
    """Refuses, or warns of, fields that stand twice; those that are unknown are told in the same breath."""
    from podkeeper.apiserver import yamls  # few clients repeat fields

    error, complaints = judged
    if error:
        raise _undecodable(expected, error)
    if not expected.type_name:
        if context.field_validation is FieldValidation.STRICT:
            context.complaints = complaints
            return
    elif context.field_validation is FieldValidation.STRICT and complaints:
        raise _undecodable(expected, f"strict decoding error: {', '.join(complaints)}")
    else:
        context.field_validation = FieldValidation.IGNORE  # everything has been told
    context.warnings.extend(line for complaint in complaints for line in yamls.lines(complaint))


def _judged(document: Any, repeated: Sequence[str], expected: Expected) -> tuple[str, tuple[str, ...]]:
    """The decoding error and the strict reader's complaints, after those of the reader of YAML."""
    from podkeeper.api import gojson  # nobody needs it as long as bodies are right

    if document is None:
        return "", ()
    if expected.type_name:
        found = gojson.judge(document, expected.type_name)
        return found.error, (*repeated, *found.strict)
    metadata = dict(document).get("metadata")
    ordered = dict(sorted(dict(metadata).items())) if isinstance(metadata, gojson.Members | dict) else metadata
    error = gojson.judge(ordered, "meta/v1.ObjectMeta").error
    return error, (*repeated, *gojson.judge_free(document).strict)


def _document(request: Request) -> tuple[Any, tuple[str, ...]]:
    """The body as it was written, and what the reader of YAML complains of. Raises ValueError and RecursionError."""
    media = body_type(request.headers.get(b"content-type", b""))
    if media == PROTOBUF:
        return None, ()  # its fields have types
    if media == JSON:
        from podkeeper.api import gojson

        return gojson.read(bodies.with_replacements(request.body)), ()
    tree, is_json = bodies.as_json(request.body)
    if is_json:
        return tree, ()
    from podkeeper.apiserver import yamls

    tree, complaint = yamls.read(request.body)
    return tree, (complaint,) if complaint else ()


def _undecodable(expected: Expected, why: str) -> Undecodable:
    return Undecodable(expected.kind, expected.api_version.rpartition("/")[2], why)
