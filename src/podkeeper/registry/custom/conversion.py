"""Conversion of custom objects between versions by somebody else: what is known of it, and how more is got to know.

    a view needs an object in another version --known--> goes on
                                              --not----> NeedsConversion --> the verb waits for it and begins anew

Views do not wait. What a conversion gave is kept by what it was given, so that the verb that begins anew finds it.
Metadata is the server's: a converter changes labels and annotations alone. Source: Kubernetes reference, Versions in
CustomResourceDefinitions, "Webhook conversion"; apiextensions-apiserver, pkg/apiserver/conversion.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from podkeeper.api.errors import ApiError
from podkeeper.api.structural import Definition
from podkeeper.api.validation import metadata as validation
from podkeeper.api.validation.fields import Found

Tree = dict[str, Any]

#: Conversions that are remembered, of each definition.
_REMEMBERED = 4096
#: Of the metadata, what a converter sees that may make a difference; of these it may change the last two.
_SEEN = ("name", "namespace", "labels", "annotations")
_CHANGEABLE = ("labels", "annotations")


class Converter(Protocol):
    """Who converts for definitions with the strategy Webhook."""

    async def convert(self, definition: Definition, api_version: str, objects: Sequence[Tree]) -> Sequence[Tree]:
        """The objects in another version, in order. Raises ConversionFailed."""
        ...


class ConversionFailed(Exception):
    """Why there are no converted objects."""


class Converters(Struct):
    """What appears after the registry: who converts, and where tasks run that wait for it."""

    converter: Converter | None = None
    tasks: asyncio.TaskGroup | None = None


class NeedsConversion(Exception):
    """Nothing is known of a tree in another version yet."""

    def __init__(self, api_version: str, tree: Tree) -> None:
        super().__init__(f"{tree.get('apiVersion')} is not known in {api_version}")
        self.api_version, self.tree = api_version, tree


class Conversions:
    """The conversions of one definition."""

    def __init__(self, definition: Definition, converters: Converters) -> None:
        self._definition, self._converters = definition, converters
        self._known: OrderedDict[bytes, bytes] = OrderedDict()

    def converted(self, api_version: str, tree: Tree) -> Tree:
        """A tree in another version, a new one. Raises NeedsConversion."""
        found = self._known.get(_key(api_version, tree))
        if found is None:
            raise NeedsConversion(api_version, tree)
        return _with_metadata(msgspec.json.decode(found), tree["metadata"])

    async def supply(self, api_version: str, trees: Sequence[Tree]) -> None:
        """Gets to know trees in another version. Raises ApiError 500."""
        missing = {key: tree for tree in trees if (key := _key(api_version, tree)) not in self._known}
        if missing:
            for key, found in zip(missing, await self._convert(api_version, list(missing.values())), strict=True):
                self._known[key] = msgspec.json.encode(found)
        while len(self._known) > max(_REMEMBERED, len(trees)):
            self._known.popitem(last=False)

    async def _convert(self, api_version: str, trees: Sequence[Tree]) -> Sequence[Tree]:
        what = f"{trees[0]['apiVersion']}, Kind={self._definition.kind}"
        converter = self._converters.converter
        if converter is None:
            raise ApiError(500, "", f"conversion webhook for {what} failed: there is nobody to call it")
        try:
            found = await converter.convert(self._definition, api_version, trees)
        except ConversionFailed as error:
            raise ApiError(500, "", f"conversion webhook for {what} failed: {error}") from error
        if len(found) != len(trees):
            text = f"conversion webhook for {what} returned {len(found)} objects, expected {len(trees)}"
            raise ApiError(500, "", text)
        for index, (given, tree) in enumerate(zip(trees, found, strict=True)):
            if why := _mistake(api_version, given, tree, None if len(trees) == 1 else index):
                raise ApiError(500, "", f"conversion webhook for {what} returned {why}")
        return found


def _key(api_version: str, tree: Tree) -> bytes:
    metadata = tree["metadata"]
    seen = {name: metadata[name] for name in _SEEN if name in metadata}
    return msgspec.json.encode([api_version, tree | {"metadata": seen}], order="deterministic")


def _with_metadata(found: Tree, metadata: Tree) -> Tree:
    kept = {name: value for name, value in metadata.items() if name not in _CHANGEABLE}
    changed = {name: found["metadata"][name] for name in _CHANGEABLE if found["metadata"].get(name)}
    return found | {"metadata": kept | changed}


def _mistake(api_version: str, given: Tree, found: Any, index: int | None) -> str:
    """What is wrong with an answer, after "returned"; empty if nothing is. ``index``: its place among several."""
    one = index is None
    tree = found if isinstance(found, dict) else {}
    head = "invalid object at index 0" if one else f"invalid converted object at index {index}"
    if tree.get("apiVersion") != api_version:
        return f"{head}: invalid groupVersion (expected {api_version}, received {tree.get('apiVersion') or ''})"
    if tree.get("kind") != given.get("kind"):
        return f"{head}: invalid kind (expected {given.get('kind')}, received {tree.get('kind') or ''})"
    metadata = tree.get("metadata")
    shown = metadata if isinstance(metadata, dict) else {}
    for name in ("name", "namespace", "uid"):
        before, after = given["metadata"].get(name) or "", shown.get(name) or ""
        if before != after:
            why = f"must have the same {'UID' if name == 'uid' else name}: {before} != {after}"
            return f"{'invalid object' if one else head}: {why}"
    if why := _metadata_mistake(metadata, given["metadata"]):
        return f"invalid metadata{'' if one else f' in object at index {index}'}: {why}"
    return ""


def _metadata_mistake(metadata: Any, given: Tree) -> str:
    """What is wrong with the labels and annotations of an answer, which a converter may change."""
    if metadata is None:
        return "missing metadata in converted object"
    if not isinstance(metadata, dict):
        return f"invalid metadata of type {_go_type(metadata)} in converted object"
    for name, judge in (("labels", validation.label_map), ("annotations", validation.annotation_map)):
        pairs = metadata.get(name)
        if pairs is None or pairs == given.get(name):
            continue
        if not isinstance(pairs, dict):
            return f"invalid metadata.{name} of type {_go_type(pairs)} in converted object"
        for key, value in pairs.items():
            if not isinstance(value, str):
                return f"metadata.{name}[{key}] must be a string, but is {_go_type(value)} in converted object"
        wrong = Found()
        # The path of annotations is upstream's.
        judge(wrong, f"metadata.{name.removesuffix('s') if name == 'annotations' else name}", pairs)
        told = list(dict.fromkeys(f"{each.field}: {each.message}" for each in wrong))
        if told:
            return told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return ""


def _go_type(value: Any) -> str:
    """What Go calls a value of JSON."""
    names = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")
