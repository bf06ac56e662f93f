"""Objects out of YAML and JSON files: any number of documents a file, Lists taken apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from podkeeper.cluster.errors import ClusterError

SUFFIXES = (".yaml", ".yml", ".json")


def read(path: str) -> Iterator[dict[str, Any]]:
    """The objects of a file, of every manifest in a directory, or of standard input (``-``). Raises ClusterError."""
    if path == "-":
        yield from _documents("standard input", sys.stdin.read())
        return
    for file in _files(Path(path)):
        try:
            text = file.read_text()
        except OSError as error:
            raise ClusterError(f"cannot read {file}: {error.strerror}") from error
        yield from _documents(str(file), text)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    return [path]


def _documents(source: str, text: str) -> Iterator[dict[str, Any]]:
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise ClusterError(f"{source} is not YAML: {error}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise ClusterError(f"{source}: a document is not an object with apiVersion and kind")
        if document.get("kind") == "List":
            yield from document.get("items") or ()
        else:
            yield document
