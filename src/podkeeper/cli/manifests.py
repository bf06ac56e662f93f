"""Objects out of YAML and JSON: any number of documents a file, lists taken apart, each checked to be an object."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from podkeeper.cluster.errors import ClusterError

SUFFIXES = (".yaml", ".yml", ".json")
DOWNLOAD_SECONDS = 20.0


def read_all(sources: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of all sources, each with version, kind and name. Raises ClusterError, also when there are none."""
    found = [each for source in sources for each in read(source)]
    if sources and not found:
        raise ClusterError(f"there are no objects in {', '.join(sources)}", f"files end in {', '.join(SUFFIXES)}")
    return found


def read(source: str) -> Iterator[dict[str, Any]]:
    """The objects of a file, a directory's manifests, an http(s) URL or standard input (``-``). Raises ClusterError."""
    if source == "-":
        yield from _objects("standard input", sys.stdin.buffer.read())
    elif source.startswith(("http://", "https://")):
        yield from _objects(source, _download(source))
    else:
        for file in _files(Path(source)):
            try:
                data = file.read_bytes()
            except OSError as error:
                raise ClusterError(f"cannot read {file}: {error.strerror}") from error
            yield from _objects(str(file), data)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    return [path]


def _download(url: str) -> bytes:
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - http and https alone
            return bytes(answer.read())
    except (OSError, ValueError) as error:
        raise ClusterError(f"cannot fetch {url}: {error}") from error


def _objects(source: str, data: bytes) -> Iterator[dict[str, Any]]:
    try:
        documents = list(yaml.load_all(data.decode(), Loader=yaml.CSafeLoader))
    except UnicodeDecodeError as error:
        raise ClusterError(f"{source} is not text in UTF-8", "is it the manifest you meant?") from error
    except yaml.YAMLError as error:
        raise ClusterError(f"{source} is not YAML: {error}") from error
    for number, document in enumerate(documents, start=1):
        if document is not None:
            yield from _taken_apart(source if len(documents) == 1 else f"{source}, document {number}", document)


def _taken_apart(place: str, tree: Any) -> Iterator[dict[str, Any]]:
    """The object itself, or what is in a list: ``List``, or of one kind, such as ``ConfigMapList``."""
    if isinstance(tree, dict) and str(tree.get("kind")).endswith("List") and isinstance(tree.get("items"), list):
        for number, item in enumerate(tree["items"], start=1):
            yield from _taken_apart(f"{place}, item {number}", item)
    else:
        yield _checked(place, tree)


def _checked(place: str, tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise ClusterError(f"{place} is not an object: it has no apiVersion and kind")
    for key in ("apiVersion", "kind"):
        if not isinstance(tree.get(key), str):
            raise ClusterError(f"{place} has no {key}")
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise ClusterError(f"{place}, a {tree['kind']}, has no metadata.name")
    if not isinstance(metadata.get("namespace") or "", str):
        raise ClusterError(f"{place}, {tree['kind']} {metadata['name']}: metadata.namespace is not text")
    return tree
