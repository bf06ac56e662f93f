"""Objects of custom resources: metadata typed as everybody's, the rest a plain tree."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api.meta.v1 import ObjectMeta

Tree = dict[str, Any]

_HEAD = ("apiVersion", "kind", "metadata")


class CustomObject(msgspec.Struct, frozen=True, kw_only=True):
    """What verbs work with in place of a built-in kind's struct. ``content`` must not be changed."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta
    content: Tree


def content_of(tree: Tree) -> Tree:
    """What an object has beside apiVersion, kind and metadata."""
    return {name: value for name, value in tree.items() if name not in _HEAD}
