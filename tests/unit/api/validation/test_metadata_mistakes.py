"""Metadata that is refused, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import resources
from podkeeper.api.core.v1 import ConfigMap
from podkeeper.api.meta.v1 import ObjectMeta, OwnerReference
from podkeeper.api.storage.v1 import CSINode
from podkeeper.api.validation import validate_create, validate_update

OWNER = OwnerReference(api_version="v1", kind="Pod", name="p", uid="u", controller=True)


def row(group: str, version: str, plural: str) -> Any:
    found = resources.lookup(group, version, plural)
    assert found is not None
    return found


def mistakes(**metadata: Any) -> list[tuple[str, str]]:
    meta = ObjectMeta(**{"name": "a", "namespace": "n"} | metadata)
    causes = validate_create(row("", "v1", "configmaps"), {}, ConfigMap(metadata=meta))
    return [(cause.field, cause.message.partition(" (e.g. ")[0]) for cause in causes]


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    before, after = (ConfigMap(metadata=ObjectMeta(**{"name": "a", "namespace": "n"} | each)) for each in (old, new))
    return [(each.field, each.message) for each in validate_update(row("", "v1", "configmaps"), after, before)]


def test_a_plain_object_is_good() -> None:
    assert mistakes(labels={"app.kubernetes.io/name": "x"}, annotations={"A/B": ""}, owner_references=(OWNER,)) == []


@pytest.mark.parametrize(
    ("metadata", "field", "message"),
    [
        (
            {"name": "A"},
            "metadata.name",
            'Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '
            "'-' or '.', and must start and end with an alphanumeric character",
        ),
        ({"name": ""}, "metadata.name", "Required value: name or generateName is required"),
        ({"namespace": ""}, "metadata.namespace", "Required value"),
        ({"namespace": "a.b"}, "metadata.namespace", 'Invalid value: "a.b": must not contain dots'),
        (
            {"labels": {"a": "b c"}},
            "metadata.labels",
            'Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '
            "'-', '_' or '.', and must start and end with an alphanumeric character",
        ),
        ({"labels": {"/a": ""}}, "metadata.labels", 'Invalid value: "/a": prefix part must be non-empty'),
        (
            {"annotations": {"a": "x" * 262144}},
            "metadata.annotations",
            "Too long: may not be more than 262144 bytes",
        ),
        (
            {"finalizers": ("orphan", "foregroundDeletion")},
            "metadata.finalizers",
            'Invalid value: ["orphan","foregroundDeletion"]: '
            "finalizer orphan and foregroundDeletion cannot be both set",
        ),
    ],
)
def test_a_mistake_names_its_field(metadata: dict[str, Any], field: str, message: str) -> None:
    assert mistakes(**metadata) == [(field, message)]


def test_only_one_owner_controls() -> None:
    other = OwnerReference(api_version="v1", kind="Pod", name="q", uid="v", controller=True)
    [(field, message)] = mistakes(owner_references=(OWNER, other))
    assert field == "metadata.ownerReferences"
    assert 'Only one reference can have Controller set to true. Found "true" in references for' in message


def test_cluster_wide_kinds_have_no_namespace() -> None:
    meta = ObjectMeta(name="a", namespace="n")
    causes = validate_create(row("storage.k8s.io", "v1", "csinodes"), {}, CSINode(metadata=meta))
    assert ("metadata.namespace", "Forbidden: not allowed on this type") in [(c.field, c.message) for c in causes]


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ({"uid": "1"}, {"uid": "2"}, "metadata.uid", 'Invalid value: "2": field is immutable'),
        ({"name": "a"}, {"name": "b"}, "metadata.name", 'Invalid value: "b": field is immutable'),
        ({"generation": 2}, {"generation": 1}, "metadata.generation", "Invalid value: 1: must not be decremented"),
    ],
)
def test_what_never_changes(old: dict[str, Any], new: dict[str, Any], field: str, message: str) -> None:
    assert changes(old, new) == [(field, message)]
