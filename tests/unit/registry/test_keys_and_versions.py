"""Keys of objects, and in which version they are stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.catalogue import Resource
from podkeeper.api.resources import RESOURCES, lookup
from podkeeper.registry.keys import object_key, prefixes_of, resource_prefix, split_key
from podkeeper.registry.storage_versions import is_stored, storage_version

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.:]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.sampled_from(RESOURCES), NAMES, NAMES)
def test_a_key_tells_its_resource_and_its_object(row: Resource, namespace: str, name: str) -> None:
    prefix = resource_prefix(row.group, row.name)
    inside = namespace if row.namespaced else ""
    key = object_key(prefix, inside, name)
    assert split_key(prefix, key) == (inside, name)
    assert prefix in prefixes_of(key)


def test_keys_read_well() -> None:
    assert object_key(resource_prefix("", "pods"), "default", "web") == "/pods/default/web"
    assert object_key(resource_prefix("", "nodes"), "", "a") == "/nodes/a"
    assert object_key(resource_prefix("apps", "deployments"), "d", "w") == "/apps/deployments/d/w"


def test_no_prefix_is_another_resources() -> None:
    prefixes = {resource_prefix(row.group, row.name) for row in RESOURCES}
    groups = {row.group for row in RESOURCES}
    assert not {f"/{group}/" for group in groups} & prefixes


def test_every_storage_version_is_a_resource() -> None:
    for row in RESOURCES:
        if is_stored(row):
            stored = lookup(*storage_version(row), row.name)
            assert stored is not None
            assert storage_version(stored) == (stored.group, stored.version)


def test_stable_versions_are_stored_as_stable_ones() -> None:
    for row in RESOURCES:
        if is_stored(row) and row.enabled:
            assert "alpha" not in storage_version(row)[1]
            assert "beta" not in storage_version(row)[1]


def test_reviews_are_not_stored() -> None:
    for group, version, plural in (
        ("authentication.k8s.io", "v1", "tokenreviews"),
        ("", "v1", "bindings"),
        ("", "v1", "componentstatuses"),
    ):
        row = lookup(group, version, plural)
        assert row is not None
        assert not is_stored(row)
