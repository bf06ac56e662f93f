"""JSON Patch: a list of operations on places named by JSON pointers, all applied or none.

As upstream's library does, ``-1`` and so on count list members from the end, and ``test`` of an absent place succeeds
against null. Limits: 10,000 operations, and 3 MiB of copied JSON, so that a small patch cannot grow an object without
bound. Source: RFC 6902, RFC 6901.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from podkeeper.api.errors import bad_request, too_large
from podkeeper.api.patches.trees import copied, equal, unprocessable

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024
_INDEX = re.compile(r"[+-]?[0-9]+\Z")
_MISSING = object()


def apply(tree: Any, patch: Any) -> Any:
    """The patched tree. ApiError 400: no patch at all; 413: too many operations; 422: one does not apply."""
    if not isinstance(patch, list) or not all(isinstance(step, dict) for step in patch):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(patch) > MAX_OPERATIONS:
        told = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
        raise too_large(f"Request entity too large: {told}")
    document = _Document(copied(tree))
    for step in patch:
        document.run(step)
    return document.root


class _Document:
    """The tree under work. It is ours alone, so operations change it in place."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._copied_bytes = 0

    def run(self, step: dict[str, Any]) -> None:
        operation, path = step.get("op"), _pointer(step.get("path"))
        if not path and operation != "replace":
            raise unprocessable()  # only a replacement may be of the whole
        if operation == "test":
            found = self._get(path, _MISSING)
            if not equal(None if found is _MISSING else found, step.get("value")):
                raise unprocessable()
        elif operation == "remove":
            self._remove(path)
        elif operation == "move":
            source = _pointer(step.get("from"))
            if path[: len(source)] == source and len(path) > len(source):
                raise unprocessable()  # a value cannot move into itself
            value = self._get(source)
            self._remove(source)
            self._add(path, value)
        elif operation == "copy":
            self._add(path, self._limited_copy(self._get(_pointer(step.get("from")))))
        elif operation in ("add", "replace"):
            self._put(operation, path, copied(step.get("value")))
        else:
            raise unprocessable()

    def _put(self, operation: str, path: list[str], value: Any) -> None:
        if operation == "add":
            self._add(path, value)
            return
        self._get(path)
        if not path:
            if not isinstance(value, dict | list):
                raise unprocessable()
            self.root = value
            return
        parent = self._get(path[:-1])
        parent[_index(path[-1], len(parent)) if isinstance(parent, list) else path[-1]] = value

    def _limited_copy(self, value: Any) -> Any:
        self._copied_bytes += len(msgspec.json.encode(value))
        if self._copied_bytes > MAX_COPIED_BYTES:
            raise unprocessable()
        return copied(value)

    def _get(self, path: list[str], default: Any = None) -> Any:
        """The value at a place; without a default, its absence is an error."""
        at = self.root
        for part in path:
            if isinstance(at, dict) and part in at:
                at = at[part]
            elif isinstance(at, list) and _INDEX.match(part) and -len(at) <= int(part) < len(at):
                at = at[int(part)]
            elif default is _MISSING:
                return _MISSING
            else:
                raise unprocessable()
        return at

    def _add(self, path: list[str], value: Any) -> None:
        parent = self._get(path[:-1])
        if isinstance(parent, dict):
            parent[path[-1]] = value
        elif isinstance(parent, list):
            end = path[-1] == "-"
            parent.insert(len(parent) if end else _index(path[-1], len(parent) + 1), value)
        else:
            raise unprocessable()

    def _remove(self, path: list[str]) -> None:
        self._get(path)
        parent = self._get(path[:-1])
        del parent[_index(path[-1], len(parent)) if isinstance(parent, list) else path[-1]]


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str):
        raise unprocessable()
    # What stands before the first slash means nothing.
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(part: str, length: int) -> int:
    if not _INDEX.match(part) or len(part) > 9:
        raise unprocessable()
    index = int(part)
    if index < 0:
        index += length
    if not 0 <= index < length:
        raise unprocessable()
    return index
