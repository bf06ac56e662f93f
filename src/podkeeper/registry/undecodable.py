"""Trees that are no objects of their kind, in the words of upstream's decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import codec, schema
from podkeeper.api.catalogue import Resource
from podkeeper.api.custom import CustomObject
from podkeeper.api.errors import ApiError, Cause, invalid

#: Where upstream makes the registry of kinds that messages name.
SCHEME = "pkg/api/legacyscheme/scheme.go:30"


class Undecodable(ApiError):
    """400 for a body that is no object of its kind; ``why`` is the decoder's own text."""

    def __init__(self, kind: str, version: str, why: str) -> None:
        super().__init__(400, "BadRequest", f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
        self.why = why


def wrong_type(resource: Resource, cls: type[msgspec.Struct], tree: Any, error: codec.WrongType) -> Undecodable:
    """What is told of a tree that does not fit the class of its kind's objects."""
    from podkeeper.api import gojson  # nobody needs it as long as bodies are right

    if cls is CustomObject:
        metadata = tree.get("metadata") if isinstance(tree, dict) else None
        sorted_members = dict(sorted(metadata.items())) if isinstance(metadata, dict) else metadata
        found = gojson.judge(sorted_members, "meta/v1.ObjectMeta").error
    else:
        found = gojson.judge(tree, schema.for_class(cls).name).error
    where = f"{resource.kind}.{error.path}" if error.path else resource.kind
    why = found or f"json: cannot unmarshal into Go struct field {where}: {error.reason}"
    return Undecodable(resource.kind, resource.version, why)


def other_kind(tree: Any, kind: str, api_version: str, expected: tuple[str, str]) -> str:
    """What is told of an object of another kind than ``expected`` (a kind and its apiVersion).

    It is decoded as what it is before the conversion fails."""
    from podkeeper.api import gojson  # nobody needs it as long as bodies are right

    group, _, version = api_version.rpartition("/")
    found = schema.for_kind(group, version, kind)
    if found is None:
        return f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"'
    into = f"{internal_package(expected[1].rpartition('/')[0])}.{expected[0]}"
    return gojson.judge(tree, found.name).error or f"converting ({version}.{kind}) to ({into}): unknown conversion"


def other_custom_kind(resource: Resource, tree: Any) -> ApiError:
    """422 for an object of a custom resource's version that says to be of another kind, or version."""
    causes = []
    for name, expected in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        found = tree.get(name)
        if found != expected:
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{found}": must be {expected}', name))
    metadata = tree.get("metadata")
    name = str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
    return invalid(resource.kind, resource.group, name, causes)


def internal_package(group: str) -> str:
    """The package of the unversioned types that upstream converts into: events are the core group's."""
    label = group.partition(".")[0]
    return {"": "core", "events": "core", "internal": "apiserverinternal"}.get(label, label)
