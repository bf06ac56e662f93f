"""The catalogue rows, from the discovery documents, in the order in which upstream serves them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from podkeeper.api.catalogue import Resource, Subresource
from typegen.facts import Type
from typegen.render import GENERATED

VERB_SETS = {
    ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"): "_ALL",
    ("get", "patch", "update"): "_READ_WRITE",
    ("create", "delete", "get", "patch", "update"): "_PROXY",
    ("create", "get"): "_CONNECT",
    ("create",): "_CREATE",
}


#: What clients of old APIs are told; upstream keeps it beside the types (prerelease-lifecycle-gen).
DEPRECATED = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


def load_rows(folder: Path, types: Mapping[str, Type]) -> list[Resource]:
    """Every resource that the discovery documents list, subresources inside."""
    packages = {
        (each.gvk[0], each.gvk[1], each.gvk[2]): f"podkeeper.api.{each.package.replace('/', '.')}:{each.name}"
        for each in types.values()
        if each.gvk
    }
    core = json.loads((folder / "discovery-core-v1.json").read_text())["resources"]
    rows = [_core_row(each, core, packages) for each in core if "/" not in each["name"]]
    for group in json.loads((folder / "discovery-aggregated-v2.json").read_text())["items"]:
        for version in group["versions"]:
            place = (group["metadata"]["name"], version["version"])
            rows += [_row(*place, each, packages) for each in version["resources"]]
    return rows


def _core_row(raw: Mapping[str, Any], listed: list[Mapping[str, Any]], packages: Mapping[Any, str]) -> Resource:
    below = [each for each in listed if each["name"].startswith(raw["name"] + "/")]
    subresources = [
        Subresource(
            each["name"].split("/")[1],
            each.get("group", ""),
            each.get("version", "v1"),
            each["kind"],
            tuple(each["verbs"]),
        )
        for each in below
    ]
    return Resource(
        group="",
        version="v1",
        name=raw["name"],
        kind=raw["kind"],
        singular=raw["singularName"],
        namespaced=raw["namespaced"],
        verbs=tuple(raw["verbs"]),
        short_names=tuple(raw.get("shortNames", ())),
        categories=tuple(raw.get("categories", ())),
        subresources={each.name: each for each in subresources},
        type_name=packages["", "v1", raw["kind"]],
        deprecation=DEPRECATED.get(("", "v1", raw["name"]), ""),
    )


def _row(group: str, version: str, raw: Mapping[str, Any], packages: Mapping[Any, str]) -> Resource:
    kind = raw["responseKind"]["kind"]
    subresources = [
        Subresource(each["subresource"], *_response_kind(each["responseKind"], group, version), tuple(each["verbs"]))
        for each in raw.get("subresources", ())
    ]
    return Resource(
        group=group,
        version=version,
        name=raw["resource"],
        kind=kind,
        singular=raw["singularResource"],
        namespaced=raw["scope"] == "Namespaced",
        verbs=tuple(raw["verbs"]),
        short_names=tuple(raw.get("shortNames", ())),
        categories=tuple(raw.get("categories", ())),
        subresources={each.name: each for each in subresources},
        type_name=packages[group, version, kind],
        enabled=re.fullmatch(r"v\d+", version) is not None,
    )


def _response_kind(raw: Mapping[str, str], group: str, version: str) -> tuple[str, str, str]:
    """An empty group and version mean those of the resource."""
    place = (raw["group"], raw["version"]) if raw["version"] else (group, version)
    return (*place, raw["kind"])


def render_rows(rows: list[Resource]) -> str:
    """Text of the module that holds the rows."""
    lines = [
        f'"""The resources that upstream serves, in its order; alpha and beta versions are off.\n\n{GENERATED}\n"""',
        "",
        "from podkeeper.api.catalogue import Resource, Subresource",
        "",
    ]
    lines += [f"{name} = {verbs!r}" for verbs, name in VERB_SETS.items()]
    lines += ["", "ROWS: tuple[Resource, ...] = ("]
    lines += [f"    {_row_text(row)}," for row in rows]
    lines += [")", ""]
    return "\n".join(lines)


def _row_text(row: Resource) -> str:
    parts = [repr(each) for each in (row.group, row.version, row.name, row.kind, row.singular, row.namespaced)]
    parts.append(_verbs_text(row.verbs))
    parts += list(_optional_parts(row))
    return f"Resource({', '.join(parts)})"


def _optional_parts(row: Resource) -> Iterator[str]:
    if row.short_names:
        yield f"short_names={row.short_names!r}"
    if row.categories:
        yield f"categories={row.categories!r}"
    if row.subresources:
        inner = ", ".join(
            f"{each.name!r}: Subresource({each.name!r}, {each.group!r}, {each.version!r}, {each.kind!r}, "
            f"{_verbs_text(each.verbs)})"
            for each in row.subresources.values()
        )
        yield f"subresources={{{inner}}}"
    yield f"type_name={row.type_name!r}"
    if not row.enabled:
        yield "enabled=False"
    if row.deprecation:
        yield f"deprecation={row.deprecation!r}"


def _verbs_text(verbs: tuple[str, ...]) -> str:
    return VERB_SETS.get(verbs, repr(verbs))
