"""The image configuration of the OCI image specification: what an image says about itself.

``ImageConfig`` is what a container inherits; ``ImageDocument`` the whole JSON document, whose digest is the image id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from msgspec import Struct, field


class InvalidImage(ValueError):
    """A manifest or configuration does not say what it must, or says it in the wrong shape."""


class ImageConfig(Struct, frozen=True):
    """What a container of the image inherits. ``user`` is ``name|uid[:group|gid]``; durations are as written."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    shell: tuple[str, ...] = ()
    healthcheck: Mapping[str, Any] | None = None
    on_build: tuple[str, ...] = ()

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> ImageConfig:
        """Reads the ``config`` object. Raises InvalidImage for values of the wrong type."""
        return cls(
            entrypoint=_texts(tree, "Entrypoint"),
            cmd=_texts(tree, "Cmd"),
            env=tuple((name, value) for name, _, value in (e.partition("=") for e in _texts(tree, "Env"))),
            user=_text(tree, "User"),
            working_dir=_text(tree, "WorkingDir"),
            stop_signal=_text(tree, "StopSignal"),
            volumes=tuple(sorted(_object(tree, "Volumes"))),
            exposed_ports=tuple(sorted(_object(tree, "ExposedPorts"))),
            labels={key: str(value) for key, value in _object(tree, "Labels").items()},
            shell=_texts(tree, "Shell"),
            healthcheck=_object(tree, "Healthcheck") or None,
            on_build=_texts(tree, "OnBuild"),
        )

    def to_tree(self) -> dict[str, Any]:
        """The ``config`` object; what is empty is left out, except Cmd and Entrypoint, which are null."""
        optional: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Env": [f"{name}={value}" for name, value in self.env],
            "Volumes": {path: {} for path in self.volumes},
            "WorkingDir": self.working_dir,
            "Labels": dict(self.labels),
            "StopSignal": self.stop_signal,
            "Shell": list(self.shell),
            "Healthcheck": dict(self.healthcheck or {}),
            "OnBuild": list(self.on_build),
        }
        tree = {key: value for key, value in optional.items() if value}
        return tree | {"Entrypoint": list(self.entrypoint) or None, "Cmd": list(self.cmd) or None}


class HistoryEntry(Struct, frozen=True):
    """One build step. ``empty_layer`` steps changed the configuration alone."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> HistoryEntry:
        """Reads one element of ``history``."""
        return cls(
            _text(tree, "created"), _text(tree, "created_by"), _text(tree, "comment"), bool(tree.get("empty_layer"))
        )

    def to_tree(self) -> dict[str, Any]:
        """One element of ``history``; what is empty is left out."""
        tree = {
            "created": self.created,
            "created_by": self.created_by,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return {key: value for key, value in tree.items() if value}


class ImageDocument(Struct, frozen=True):
    """The whole configuration document. ``diff_ids`` are digests of the uncompressed layers, lowest first."""

    config: ImageConfig = ImageConfig()
    diff_ids: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    architecture: str = ""
    os: str = "linux"
    variant: str = ""
    created: str = ""
    author: str = ""

    @classmethod
    def from_bytes(cls, data: bytes) -> ImageDocument:
        """Parses the document. Raises InvalidImage."""
        tree = parse_object(data, "image configuration")
        rootfs = _object(tree, "rootfs")
        if rootfs.get("type", "layers") != "layers":
            raise InvalidImage(f"root file system of type {rootfs['type']!r} is not supported")
        history = [] if tree.get("history") is None else tree["history"]
        if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
            raise InvalidImage("history of the image configuration is not a list of objects")
        return cls(
            config=ImageConfig.from_tree(_object(tree, "config")),
            diff_ids=_texts(rootfs, "diff_ids"),
            history=tuple(HistoryEntry.from_tree(entry) for entry in history),
            architecture=_text(tree, "architecture"),
            os=_text(tree, "os"),
            variant=_text(tree, "variant"),
            created=_text(tree, "created"),
            author=_text(tree, "author"),
        )

    def to_bytes(self) -> bytes:
        """The document as JSON with sorted keys, so that equal documents have equal digests."""
        optional = {"created": self.created, "author": self.author, "variant": self.variant}
        tree: dict[str, Any] = {key: value for key, value in optional.items() if value}
        tree |= {"architecture": self.architecture, "os": self.os, "config": self.config.to_tree()}
        tree["rootfs"] = {"type": "layers", "diff_ids": list(self.diff_ids)}
        if self.history:
            tree["history"] = [entry.to_tree() for entry in self.history]
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """``sha256:...`` of ``data``, or the digest of another algorithm that a reference may name."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """The identity of each layer on top of those below it, as the OCI image specification computes ChainID."""
    chain: list[str] = []
    for diff in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff}".encode()) if chain else diff)
    return tuple(chain)


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``. Raises InvalidImage that names ``what``."""
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidImage(f"{what} is not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise InvalidImage(f"{what} is not a JSON object")
    return tree


def _text(tree: Mapping[str, Any], key: str) -> str:
    value = tree.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidImage(f"{key} is not a string")
    return value


def _texts(tree: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = tree.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidImage(f"{key} is not a list of strings")
    return tuple(value)


def _object(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = tree.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidImage(f"{key} is not an object")
    return value
