#!/usr/bin/env python3
"""Writes docs/resources.md: where everything is that this API knows of each kind, read from the code that does it.

    tools/generate_resource_table.py [--check]

The output is committed; --check writes nothing and fails where it would change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from podkeeper.api import defaults, validation, warnings
from podkeeper.api.catalogue import Resource
from podkeeper.api.resources import RESOURCES, lookup
from podkeeper.apiserver.admission import chain
from podkeeper.apiserver.admission.plugin import Plugin
from podkeeper.apiserver.tables import kinds
from podkeeper.registry.cache.selectable import SELECTABLE
from podkeeper.registry.storage_versions import is_stored, storage_version
from podkeeper.registry.strategies.base import Rules
from podkeeper.registry.strategies.core.service import ServiceStrategy
from podkeeper.registry.strategies.table import CLASSES, RULES

PAGE = Path(__file__).parent.parent / "docs" / "resources.md"
HEAD = """\
# Resources: what there is of each kind
Made by tools/generate_resource_table.py from the code; a test keeps it true. Where a cell names a module, it is one
below the package in the head of its column; a dash means that the kind has nothing of its own there, and what is
usual happens. How the parts come together: [how to add a kind](how-to/add-a-kind.md).

- **resource**: in cursive where it is cluster-wide, with its short names; below it the versions that can be served,
  the one that is stored in bold, those that have to be switched on in brackets; and its subresources.
- **strategy** (`podkeeper.registry.strategies`): what happens to an object before it is stored and when it is
  deleted: the class of a kind that behaves, else its rules (`podkeeper.registry.strategies.table`).
- **defaults** (`podkeeper.api.defaults`), **validation** (`podkeeper.api.validation`; metadata is judged for every
  kind), **warnings** (`podkeeper.api.warnings`), **columns** (`podkeeper.apiserver.tables`; a dash: name and age).
- **selectors**: fields that field selectors know beside name and namespace (`podkeeper.registry.cache.selectable`).
- **admission**: the plugins that ask for this kind by name (`podkeeper.apiserver.admission.chain`); policies,
  webhooks and quotas concern every kind.
"""
COLUMNS = ("resource", "strategy", "defaults", "validation", "warnings", "columns", "selectors", "admission")


def page() -> str:
    """The whole page."""
    groups: dict[str, list[Resource]] = {}
    for row in RESOURCES:
        if is_stored(row) and _stored(row) is row:
            groups.setdefault(row.group, []).append(row)
    parts = [HEAD]
    for group in sorted(groups):
        parts.append(f"\n## {group or 'core'}\n")
        parts.append(f"| {' | '.join(COLUMNS)} |")
        parts.append("|---" * len(COLUMNS) + "|")
        parts += [f"| {' | '.join(_cells(row))} |" for row in sorted(groups[group], key=lambda each: each.name)]
    return "\n".join(parts) + "\n"


def _stored(row: Resource) -> Resource:
    return lookup(*storage_version(row), row.name) or row


def _cells(row: Resource) -> Iterator[str]:
    yield _resource(row)
    yield _strategy(row)
    yield _function(defaults.default_of(row.group, row.version, row.kind), defaults)
    rules = validation.rules_of(row.group, row.kind)
    yield _function(rules[0] if rules is not None else None, validation)
    yield _function(warnings.look_of(row.group, row.kind), warnings)
    columns = kinds.columns_of(row)
    yield "-" if columns is kinds.DEFAULT else _module(columns.cells)
    fields = SELECTABLE.get((row.group, row.name))
    yield "<br>".join(f"`{name}`" for name in fields.paths) if fields is not None and fields.paths else "-"
    yield "<br>".join(_plugins(f"{row.group}/{row.name}")) or "-"


def _resource(row: Resource) -> str:
    name = f"`{row.name}`" if row.namespaced else f"*{row.name}*"
    versions = [
        ("**{}**" if each is row else "{}" if each.enabled else "[{}]").format(
            each.version if each.group == row.group else each.api_version
        )
        for each in RESOURCES
        if each.name == row.name and _stored(each) is row
    ]
    lines = [f"{name} ({', '.join(row.short_names)})" if row.short_names else name, " ".join(versions)]
    return "<br>".join([*lines, ", ".join(sorted(row.subresources))] if row.subresources else lines)


def _strategy(row: Resource) -> str:
    name = (row.group, row.name)
    made: Any = ServiceStrategy if name == ("", "services") else CLASSES.get(name)
    if made is not None:
        return f"`{made.__module__.removeprefix('podkeeper.registry.strategies.')}`"
    rules = RULES.get(name) or Rules(status="status" in row.subresources)
    usual = Rules()
    said = []
    for field in Rules.__struct_fields__:
        value = getattr(rules, field)
        if value != getattr(usual, field):
            said.append(field.replace("_", " ") if value else f"no {field.replace('_', ' ')}")
    return ", ".join(said) or "-"


def _function(found: Callable[..., object] | None, package: Any) -> str:
    if found is None:
        return "-"
    return f"`{found.__module__.removeprefix(f'{package.__name__}.')}.{found.__name__}`"


def _module(found: Callable[..., object]) -> str:
    return f"`{found.__module__.removeprefix('podkeeper.apiserver.tables.')}`"


def _plugins(resource: str) -> list[str]:
    """Those that ask for a resource or a subresource of it, by their names."""
    found = []
    for each in vars(chain).values():
        if isinstance(each, type) and issubclass(each, Plugin):
            wanted = {"/".join(key.split("/")[:2]) for key in each.interest.resources}
            if resource in wanted:
                found.append(each.__name__)
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text)
    elif PAGE.read_text() != text:
        sys.exit(f"{PAGE} is not what the code is; run {Path(__file__).name}")


if __name__ == "__main__":
    main()
