"""What is wrong with an access review. Rules, order and words are upstream's (pkg/apis/authorization/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from podkeeper.api import codec
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import Cause, bad_request, invalid
from podkeeper.api.meta.v1 import ObjectMeta

Tree = Mapping[str, Any]


def settle_namespace(metadata: dict[str, Any], namespace: str) -> None:
    """A review within a namespace has it, another has none. Raises 400 for one of another namespace."""
    if not namespace:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check(row: Resource, review: Tree) -> None:
    """Raises 422 with all mistakes."""
    spec: Tree = review.get("spec") or {}
    causes = [*_attributes(spec)]
    if row.kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        causes.append(_invalid("spec.user", "", "at least one of user or group must be specified"))
    for name in ("fieldSelector", "labelSelector"):
        causes += _selector(spec.get("resourceAttributes") or {}, name)
    causes += _metadata(review["metadata"], local=row.namespaced)
    if row.namespaced:
        causes += _of_namespace(spec, review["metadata"].get("namespace", ""))
    if causes:
        raise invalid(row.kind, row.group, "", causes)


def _attributes(spec: Tree) -> Iterator[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        yield _invalid("spec.nonResourceAttributes", _as_held(path), why)
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield _invalid("spec.resourceAttributes", "null", why)


def _selector(resource: Tree, name: str) -> Iterator[Cause]:
    selector, path = resource.get(name), f"spec.resourceAttributes.{name}"
    if selector is None:
        return
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or []
    if raw and requirements:
        yield _invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements")
    if not raw and not requirements:
        text = f"Required value: when {path} is specified, requirements or rawSelector is required"
        yield Cause("FieldValueRequired", text, f"{path}.requirements")


def _metadata(metadata: Tree, local: bool) -> Iterator[Cause]:
    left = {name for name, value in metadata.items() if value and name != "managedFields"}
    if left - ({"namespace"} if local else set()):
        held = codec.from_tree(ObjectMeta, metadata)  # in upstream's order
        yield _invalid("metadata", held, "must be empty except for namespace" if local else "must be empty")


def _of_namespace(spec: Tree, namespace: str) -> Iterator[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and (asked := resource.get("namespace", "")) != namespace:
        yield _invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace")
    if path is not None:
        yield _invalid("spec.nonResourceAttributes", _as_held(path), "disallowed on this kind of request")


def _as_held(path: Tree) -> Tree:
    """Non-resource attributes as upstream shows them: by the names of its own fields."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _invalid(field: str, value: object, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {msgspec.json.encode(value).decode()}: {why}", field)
