"""A CustomResourceDefinition as what serves it needs it: its versions with schema, columns and subresources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from msgspec import Struct

from podkeeper.api.catalogue import PrinterColumn, Resource, Subresource
from podkeeper.api.structural.schema import Schema, parse

Tree = dict[str, Any]
Path = tuple[str, ...]

_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_READ_WRITE = ("get", "patch", "update")
_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


class ScalePaths(Struct, frozen=True):
    """Where a kind keeps what its Scale shows. ``selector`` is empty where it has none."""

    replicas: Path = ("spec", "replicas")
    observed: Path = ("status", "replicas")
    selector: Path = ()


class Version(Struct, frozen=True, dict=True):
    """One version of a definition."""

    name: str
    served: bool
    storage: bool
    tree: Tree
    status: bool = False
    scale: ScalePaths | None = None
    columns: tuple[PrinterColumn, ...] = ()
    selectable: tuple[Path, ...] = ()
    #: What clients are told when they use this version; empty if it is not deprecated.
    deprecation: str = ""

    @cached_property
    def schema(self) -> Schema:
        """The schema of the objects."""
        return parse(self._given)

    @property
    def _given(self) -> Tree:
        return (self.tree.get("schema") or {}).get("openAPIV3Schema") or {}

    def published(self, preserves: bool) -> Tree:
        """The schema as documents show it; ``preserves``: the definition lets every unknown field stay."""
        return self._given | {"x-kubernetes-preserve-unknown-fields": True} if preserves else self._given


class Definition(Struct, frozen=True):
    """What a definition says, by its accepted names."""

    group: str
    plural: str
    kind: str
    list_kind: str
    singular: str
    namespaced: bool
    versions: tuple[Version, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    preserves: bool = False
    #: How to reach who converts between the versions; None where they differ in name alone.
    webhook: Tree | None = None
    #: Its objects are being deleted: there will be no new ones.
    terminating: bool = False

    @property
    def stored(self) -> Version:
        """The version that objects are written in."""
        return next(each for each in self.versions if each.storage)

    def served(self) -> Sequence[Version]:
        """The served versions, the preferred one first."""
        return sorted((each for each in self.versions if each.served), key=lambda each: priority(each.name))

    def resource(self, version: Version) -> Resource:
        """The row of the catalogue for a version."""
        subresources: dict[str, Subresource] = {}
        if version.status:
            subresources["status"] = Subresource("status", self.group, version.name, self.kind, _READ_WRITE)
        if version.scale is not None:
            subresources["scale"] = Subresource("scale", "autoscaling", "v1", "Scale", _READ_WRITE)
        return Resource(
            group=self.group,
            version=version.name,
            name=self.plural,
            kind=self.kind,
            singular=self.singular,
            namespaced=self.namespaced,
            verbs=_VERBS,
            short_names=self.short_names,
            categories=self.categories,
            subresources=subresources,
            columns=version.columns,
            deprecation=version.deprecation,
            schema=version.published(self.preserves),
            selectable=tuple("." + ".".join(path) for path in version.selectable),
            list_name=self.list_kind,
        )


def define(tree: Tree) -> Definition:
    """The definition of a stored CustomResourceDefinition, by the names that were accepted."""
    spec = tree["spec"]
    accepted = (tree.get("status") or {}).get("acceptedNames") or {}
    names = complete_names(accepted if accepted.get("plural") else spec["names"])
    return Definition(
        group=spec["group"],
        plural=names["plural"],
        kind=names["kind"],
        list_kind=names["listKind"],
        singular=names["singular"],
        namespaced=spec["scope"] == "Namespaced",
        versions=tuple(_version(spec, names["kind"], each) for each in spec["versions"]),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        preserves=bool(spec.get("preserveUnknownFields")),
        terminating=bool(tree["metadata"].get("deletionTimestamp")),
        webhook=_webhook(spec.get("conversion") or {}),
    )


def _webhook(conversion: Tree) -> Tree | None:
    return conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None


def complete_names(names: Mapping[str, Any]) -> Tree:
    """The names of a definition with what may be left out."""
    kind = names["kind"]
    return {"singular": kind.lower(), "listKind": f"{kind}List"} | {key: value for key, value in names.items() if value}


def priority(version: str) -> tuple[Any, ...]:
    """Sorts versions as upstream prefers them: v2, v1, v1beta2, v1alpha1, and then what is no version, by name."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return 1, version
    major, level, minor = found.groups()
    return 0, -_STABILITY[level], -int(major), -int(minor or 0)


def _version(spec: Tree, kind: str, tree: Tree) -> Version:
    subresources = tree.get("subresources") or {}
    columns = tree.get("additionalPrinterColumns") or ()
    return Version(
        name=tree["name"],
        served=bool(tree.get("served")),
        storage=bool(tree.get("storage")),
        tree=tree,
        status="status" in subresources,
        scale=_scale(subresources.get("scale")),
        columns=tuple(_column(each) for each in columns),
        selectable=tuple(path_of(each["jsonPath"]) for each in tree.get("selectableFields") or ()),
        deprecation=_deprecation(spec, kind, tree),
    )


def _deprecation(spec: Tree, kind: str, tree: Tree) -> str:
    if not tree.get("deprecated"):
        return ""
    return tree.get("deprecationWarning") or f"{spec['group']}/{tree['name']} {kind} is deprecated"


def _scale(tree: Tree | None) -> ScalePaths | None:
    if tree is None:
        return None
    selector = tree.get("labelSelectorPath") or ""
    return ScalePaths(path_of(tree["specReplicasPath"]), path_of(tree["statusReplicasPath"]), path_of(selector))


def _column(tree: Tree) -> PrinterColumn:
    return PrinterColumn(
        name=tree["name"],
        type=tree["type"],
        path=tree["jsonPath"],
        format=tree.get("format") or "",
        description=tree.get("description") or "",
        priority=tree.get("priority") or 0,
    )


def path_of(json_path: str) -> Path:
    """``.spec.replicas`` as its steps."""
    return tuple(filter(None, json_path.split(".")))
