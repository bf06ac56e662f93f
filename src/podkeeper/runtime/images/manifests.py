"""Manifests and indexes of the OCI image specification, and Docker's schema 2, which differ in media types alone."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from podkeeper.runtime.images.config import ImageDocument, InvalidImage, parse_object

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)

ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
_CONFIGS = frozenset((OCI_CONFIG, "application/vnd.docker.container.image.v1+json", "application/octet-stream", ""))
_LAYERS = frozenset(
    (
        OCI_LAYER,
        f"{OCI_LAYER}+gzip",
        f"{OCI_LAYER}+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    )
)
_MACHINES = {"x86_64": ("amd64", ""), "aarch64": ("arm64", "v8"), "armv7l": ("arm", "v7"), "i686": ("386", "")}
_ORDINARY = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
_IMAGES = frozenset((OCI_MANIFEST, DOCKER_MANIFEST, ""))
_SIZE_LIMIT = 1 << 50


class Descriptor(Struct, frozen=True):
    """Points to a blob. ``size`` is bytes."""

    media_type: str
    digest: str
    size: int
    platform: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_tree(cls, tree: Any) -> Descriptor:
        """Reads a descriptor object. Raises InvalidImage."""
        if not isinstance(tree, dict):
            raise InvalidImage("a descriptor is not an object")
        media_type, digest, size = tree.get("mediaType", ""), tree.get("digest"), tree.get("size")
        if not isinstance(media_type, str) or not isinstance(digest, str):
            raise InvalidImage("a descriptor has no digest")
        if not isinstance(size, int) or not 0 <= size <= _SIZE_LIMIT:
            raise InvalidImage(f"descriptor {digest} has the size {size!r}")
        return cls(media_type, digest, size, _mapping(tree, "platform"), _mapping(tree, "annotations"))


class Manifest(Struct, frozen=True):
    """One image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes of the configuration and of all layers as they are sent."""
        return self.config.size + sum(layer.size for layer in self.layers)


class Platform(Struct, frozen=True):
    """Which of several images runs here."""

    architecture: str
    variant: str = ""
    os: str = "linux"

    @classmethod
    def of_this_machine(cls) -> Platform:
        """The machine's own, in the registry's words."""
        machine = platform.machine()
        return cls(*_MACHINES.get(machine, (machine, "")))

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"

    def runs(self, other: Platform) -> bool:
        """Whether programs for ``other`` run on this platform: its own and every older variant of it."""
        return (other.os, other.architecture) == (self.os, self.architecture) and other.level <= self.level

    @property
    def level(self) -> tuple[int, ...]:
        """The variant as numbers that can be compared; without one it is what every such machine has."""
        variant = self.variant or _ORDINARY.get(self.architecture, "")
        return tuple(int(number) for number in re.findall(r"\d+", variant))


def is_index(media_type: str, tree: Mapping[str, Any]) -> bool:
    """Whether a document lists images for several platforms; the media type may be missing in OCI documents."""
    return media_type in (OCI_INDEX, DOCKER_LIST) or (not media_type and "manifests" in tree)


def parse_manifest(data: bytes) -> Manifest:
    """Reads a manifest. Raises InvalidImage, naming what is not supported."""
    tree = parse_object(data, "manifest")
    if tree.get("schemaVersion") != 2 or "config" not in tree:
        raise InvalidImage("manifest of schema version 1 is not supported")
    config = Descriptor.from_tree(tree["config"])
    if config.media_type not in _CONFIGS:
        raise InvalidImage(f"{config.media_type} is an artifact, not a container image")
    layers = tuple(Descriptor.from_tree(layer) for layer in _sequence(tree, "layers"))
    for layer in layers:
        if layer.media_type not in _LAYERS:
            raise InvalidImage(f"layer {layer.digest} has the unsupported media type {layer.media_type}")
    return Manifest(config, layers)


def parse_index(data: bytes) -> tuple[Descriptor, ...]:
    """The manifests that an index lists. Raises InvalidImage."""
    return tuple(Descriptor.from_tree(entry) for entry in _sequence(parse_object(data, "image index"), "manifests"))


def choose(manifests: Sequence[Descriptor], wanted: Platform) -> Descriptor:
    """The manifest for ``wanted``, of the newest variant that it runs; else an index that may list one.

    Raises InvalidImage.
    """
    fitting = [entry for entry in manifests if entry.media_type in _IMAGES and wanted.runs(_platform(entry))]
    if fitting:
        return max(fitting, key=lambda entry: _platform(entry).level)
    for entry in manifests:
        if is_index(entry.media_type, {}) and may_run(entry, wanted):
            return entry
    raise InvalidImage(f"no match for platform in manifest: {wanted}")


def may_run(entry: Descriptor, machine: Platform) -> bool:
    """Whether what an entry points to is for ``machine``, as far as the entry says."""
    return not entry.platform or machine.runs(_platform(entry))


def check_platform(document: ImageDocument, machine: Platform) -> None:
    """Raises InvalidImage when an image says that it is for machines of another kind."""
    image = Platform(document.architecture, document.variant, document.os)
    if image.architecture and not machine.runs(image):
        raise InvalidImage(f"no match for platform in manifest: {machine}: the image is for {image}")


def _platform(entry: Descriptor) -> Platform:
    architecture, variant, system = (str(entry.platform.get(key) or "") for key in ("architecture", "variant", "os"))
    return Platform(architecture, variant, system)


def _mapping(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _sequence(tree: Mapping[str, Any], key: str) -> list[Any]:
    value = tree.get(key)
    if not isinstance(value, list):
        raise InvalidImage(f"{key} is not a list")
    return value
