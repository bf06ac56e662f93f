"""The discovery documents against the published ones: all that is served by default, to the last field and in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from podkeeper.api.catalogue import Resource
from podkeeper.api.resources import RESOURCES
from podkeeper.apiserver import discovery
from podkeeper.apiserver.discovery import Served

SERVED = Served(row for row in RESOURCES if row.enabled)
GROUPS = SERVED.groups()


def aggregated(facts: Path) -> list[dict[str, Any]]:
    """The published groups, without the versions that are off by default and the groups that have no other."""
    published = json.loads((facts / "discovery-aggregated-v2.json").read_text())
    assert published["kind"] == "APIGroupDiscoveryList"
    groups = []
    for group in published["items"]:
        on = SERVED.versions(group["metadata"]["name"])
        versions = [version for version in group["versions"] if version["version"] in on]
        if versions:
            groups.append(group | {"versions": versions})
    return groups


def test_the_core_group_is_upstreams_with_its_storage_hashes(facts: Path) -> None:
    published = json.loads((facts / "discovery-core-v1.json").read_text())
    assert discovery.api_resources(SERVED, "", "v1") == published


def test_the_aggregated_groups_are_upstreams_in_its_order(facts: Path) -> None:
    document = discovery.aggregated(SERVED, GROUPS)
    assert document["items"] == aggregated(facts)
    assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")


def test_only_what_upstream_has_off_by_default_is_missing(facts: Path) -> None:
    published = json.loads((facts / "discovery-aggregated-v2.json").read_text())["items"]
    missing = {
        version["version"]
        for group in published
        for version in group["versions"]
        if version["version"] not in SERVED.versions(group["metadata"]["name"])
    }
    assert all("alpha" in version or "beta" in version for version in missing), missing


def test_the_lists_tell_the_same_as_the_aggregated_form(facts: Path) -> None:
    for group in aggregated(facts):
        name = group["metadata"]["name"]
        found = discovery.api_group(SERVED, name)
        assert found is not None
        assert [row["version"] for row in found["versions"]] == [row["version"] for row in group["versions"]]
        assert found["preferredVersion"] == found["versions"][0]
        for version in group["versions"]:
            listed = discovery.api_resources(SERVED, name, version["version"])
            assert listed is not None
            assert [flat(row) for row in listed["resources"]] == list(flattened(version["resources"]))


def flat(row: dict[str, Any]) -> tuple[Any, ...]:
    kind = (row.get("group", ""), row.get("version", ""), row["kind"])
    names = tuple(row.get("shortNames", ())), tuple(row.get("categories", ()))
    return row["name"], row["singularName"], row["namespaced"], kind, *names, row["verbs"]


def flattened(resources: list[dict[str, Any]]) -> Any:
    for row in resources:
        namespaced = row["scope"] == "Namespaced"
        names = tuple(row.get("shortNames", ())), tuple(row.get("categories", ()))
        kind = row["responseKind"]
        yield (
            row["resource"],
            row["singularResource"],
            namespaced,
            (kind["group"], kind["version"], kind["kind"]),
            *names,
            row["verbs"],
        )
        for sub in row.get("subresources", ()):
            kind = sub["responseKind"]
            triple = (kind["group"], kind["version"], kind["kind"])
            yield f"{row['resource']}/{sub['subresource']}", "", namespaced, triple, (), (), sub["verbs"]


def test_every_stored_resource_has_a_hash_and_no_other() -> None:
    for group in ("", *GROUPS):
        for version in SERVED.versions(group):
            document = discovery.api_resources(SERVED, group, version)
            assert document is not None
            for row in document["resources"]:
                assert ("storageVersionHash" in row) == ("watch" in row["verbs"]), row["name"]


def test_versions_of_one_kind_share_the_hash_of_the_stored_one() -> None:
    """A migration from one version to the other is not needed where the hash is the same."""
    hashes = {}
    for version in ("v1", "v2"):
        document = discovery.api_resources(SERVED, "autoscaling", version)
        assert document is not None
        hashes[version] = document["resources"][0]["storageVersionHash"]
    assert hashes["v1"] == hashes["v2"]


class Remotes:
    """Another server's ``custom.example.com/v2`` and ``early.example.com/v1``."""

    revision = 1
    _RESOURCES: Final = {
        "custom.example.com": {"v2": (1000, 100)},
        "early.example.com": {"v1alpha1": (17900, 9), "v1": (10, 9)},
    }

    def priorities(self) -> dict[tuple[str, str], tuple[int, int]]:
        return {(group, each): found for group, versions in self._RESOURCES.items() for each, found in versions.items()}

    def groups(self) -> list[dict[str, Any]]:
        return [
            {"name": group, "versions": [{"groupVersion": f"{group}/{each}", "version": each} for each in versions]}
            for group, versions in self._RESOURCES.items()
        ]

    def aggregated(self) -> list[dict[str, Any]]:
        return [
            {"metadata": {"name": group}, "versions": [{"version": each, "freshness": "Stale"} for each in versions]}
            for group, versions in self._RESOURCES.items()
        ]


def custom(group: str, *versions: str) -> list[Resource]:
    return [replace(RESOURCES[0], group=group, version=each) for each in versions]


def test_custom_resources_have_the_order_that_upstream_prefers() -> None:
    rows = [*custom("custom.example.com", "v1beta1", "foo1", "v10", "v2", "v1", "v1alpha1")]
    rows += [*custom("b.example.com", "v1"), *custom("a.example.com", "v1alpha1")]
    served = Served([*rows, *(row for row in RESOURCES if row.enabled)])
    assert served.versions("custom.example.com") == ["v10", "v2", "v1", "v1beta1", "v1alpha1", "foo1"]
    assert list(served.groups()) == [*GROUPS, "a.example.com", "b.example.com", "custom.example.com"]
    # The list goes by the APIServices' names: foo1.custom.example.com, v1.b.example.com, v1alpha1.a.example.com.
    listed = [each["name"] for each in discovery.api_groups(served)["groups"]]
    assert listed == [*GROUPS, "custom.example.com", "b.example.com", "a.example.com"]


def test_other_servers_groups_have_their_place_among_them() -> None:
    served = Served([*custom("custom.example.com", "v3", "v2", "v1"), *custom("apps", "v1")])
    listed = discovery.with_remote_groups(discovery.api_groups(served)["groups"], Remotes())
    assert [each["name"] for each in listed] == ["early.example.com", "apps", "custom.example.com"]
    assert [each["preferredVersion"]["version"] for each in listed] == ["v1", "v1", "v3"]
    own = discovery.aggregated(served, served.groups())["items"]
    items = discovery.with_remote_items(own, Remotes())
    assert [each["metadata"]["name"] for each in items] == ["early.example.com", "apps", "custom.example.com"]
    # What both have is the other server's, which gets the requests.
    found = {each["version"]: each["freshness"] for each in items[2]["versions"]}
    assert found == {"v3": "Current", "v2": "Stale", "v1": "Current"}
    assert list(found) == ["v3", "v2", "v1"]
