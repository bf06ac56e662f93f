"""Manifests and indexes: what is read, what is chosen for this machine, what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podkeeper.runtime.images import manifests
from podkeeper.runtime.images.config import InvalidImage
from podkeeper.runtime.images.manifests import Descriptor, Platform, choose, is_index, parse_index, parse_manifest

DIGEST = "sha256:" + "0" * 64


def descriptor(media_type: str, size: Any = 10, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": DIGEST, "size": size, **more}


def entry(architecture: str, variant: str = "", digest: str = DIGEST, kind: str = manifests.OCI_MANIFEST) -> Descriptor:
    return Descriptor(kind, digest, 1, {"os": "linux", "architecture": architecture, "variant": variant})


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        (manifests.OCI_CONFIG, f"{manifests.OCI_LAYER}+zstd"),
        (
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
    ],
)
def test_both_families_of_manifests_are_read(config: str, layer: str) -> None:
    tree = {"schemaVersion": 2, "config": descriptor(config, 5), "layers": [descriptor(layer, 7), descriptor(layer, 8)]}
    manifest = parse_manifest(json.dumps(tree).encode())
    assert manifest.size == 20
    assert [found.size for found in manifest.layers] == [7, 8]


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "schema version 1 is not supported"),
        ({"schemaVersion": 2, "config": descriptor("application/vnd.cncf.helm.config.v1+json")}, "is an artifact"),
        ({"schemaVersion": 2, "config": descriptor(manifests.OCI_CONFIG)}, "layers is not a list"),
        (
            {"schemaVersion": 2, "config": descriptor(""), "layers": [descriptor("application/x-lz4")]},
            "unsupported media type application/x-lz4",
        ),
        ({"schemaVersion": 2, "config": {"digest": DIGEST, "size": -1}, "layers": []}, "has the size -1"),
        ({"schemaVersion": 2, "config": descriptor("", 1 << 60), "layers": []}, "has the size"),
        ({"schemaVersion": 2, "config": [], "layers": []}, "a descriptor is not an object"),
        ({"schemaVersion": 2, "config": {}, "layers": []}, "a descriptor has no digest"),
    ],
)
def test_other_manifests_are_refused_by_name(tree: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidImage, match=why):
        parse_manifest(json.dumps(tree).encode())


def test_the_machines_own_platform_is_chosen() -> None:
    entries = [entry("amd64", digest="a"), entry("arm64", "v8", digest="b"), entry("arm", "v7", digest="c")]
    assert choose(entries, Platform("arm64", "v8")).digest == "b"
    assert choose(entries, Platform("amd64")).digest == "a"
    with pytest.raises(InvalidImage, match="no match for platform in manifest: linux/s390x"):
        choose(entries, Platform("s390x"))


def test_the_nearest_variant_is_chosen() -> None:
    entries = [entry("arm64", "v9", digest="a"), entry("arm64", "", digest="b")]
    assert choose(entries, Platform("arm64", "v8")).digest == "b"


def test_attestations_beside_images_are_passed_over() -> None:
    tree = {
        "manifests": [
            descriptor(manifests.OCI_MANIFEST, platform={"os": "unknown", "architecture": "unknown"}),
            descriptor(manifests.OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
        ]
    }
    found = parse_index(json.dumps(tree).encode())
    assert choose(found, Platform("amd64")) is found[1]


def test_an_index_is_told_from_a_manifest_also_without_a_media_type() -> None:
    assert is_index(manifests.OCI_INDEX, {})
    assert is_index(manifests.DOCKER_LIST, {})
    assert is_index("", {"manifests": []})
    assert not is_index("", {"layers": []})
    assert not is_index(manifests.OCI_MANIFEST, {"manifests": []})


def test_an_index_may_list_indexes() -> None:
    nested = Descriptor(manifests.OCI_INDEX, "a", 1)
    assert choose([entry("s390x"), nested], Platform("amd64")) is nested
    assert choose([nested, entry("amd64", digest="b")], Platform("amd64")).digest == "b"
    foreign = Descriptor(manifests.OCI_INDEX, "c", 1, {"os": "linux", "architecture": "s390x"})
    with pytest.raises(InvalidImage, match="no match for platform"):
        choose([foreign], Platform("amd64"))


@pytest.mark.parametrize(
    ("variants", "machine", "chosen"),
    [
        (["v5", "v7", "v6"], Platform("arm", "v7"), "v7"),
        (["v5", "v6"], Platform("arm", "v7"), "v6"),
        (["v8"], Platform("arm", "v7"), None),
        (["v3", "v2"], Platform("amd64"), None),
        (["v3", "v1"], Platform("amd64"), "v1"),
        (["v9", "v8"], Platform("arm64", "v8"), "v8"),
    ],
)
def test_a_variant_newer_than_the_machine_is_not_chosen(
    variants: list[str], machine: Platform, chosen: str | None
) -> None:
    entries = [entry(machine.architecture, variant) for variant in variants]
    if chosen is None:
        with pytest.raises(InvalidImage, match="no match for platform"):
            choose(entries, machine)
    else:
        assert choose(entries, machine).platform["variant"] == chosen
