#!/usr/bin/env python3
"""Writes the struct classes, the catalogue rows and the schema table of ``podkeeper.api`` from published facts.

    tools/generate_types.py FACTS [--source-root src]

FACTS is a folder with ``openapi-definitions.json`` (the ``definitions`` of an API server's /openapi/v2),
``protobuf-fields.json`` (``{message: {field: [number, label, type]}}``, read from the generated.proto files of
k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator; for the order of fields),
``discovery-core-v1.json`` (/api/v1) and ``discovery-aggregated-v2.json`` (/apis with
``Accept: application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList``). Anyone can save these from a running
API server of the version wanted; the PyPI package kubernetes-validate carries the definitions too. The output is
committed, and the same facts give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from typegen.catalogue import load_rows, render_rows
from typegen.facts import Type, load_types
from typegen.gotypes import unknown_places
from typegen.layout import assign_modules
from typegen.render import render_modules, render_package
from typegen.schema import render_schema


def generate(folder: Path) -> dict[str, str]:
    """Every generated file: text by path below ``podkeeper/api``."""
    types = load_types(folder)
    if stale := unknown_places(types):
        raise SystemExit(f"typegen/gotypes.py names fields that do not exist: {sorted(stale)}")
    modules = assign_modules(types)
    files = {f"{module.replace('.', '/')}.py": text for module, text in render_modules(types, modules).items()}
    files["resource_rows.py"] = render_rows(load_rows(folder, types))
    files["data/schema.json"] = render_schema(types, json.loads((folder / "openapi-definitions.json").read_text()))
    return files | _packages(types, modules)


def _packages(types: dict[str, Type], modules: dict[str, str]) -> dict[str, str]:
    exports: dict[str, dict[str, str]] = defaultdict(dict)
    for name, type_ in types.items():
        exports[type_.package][type_.name] = modules[name].rsplit(".", 1)[-1]
    files = {f"{package}/__init__.py": render_package(package, names) for package, names in exports.items()}
    for group in {package.split("/")[0] for package in exports}:
        files[f"{group}/__init__.py"] = f'"""The {group} group, one package per version."""\n'
    return files


def format_files(paths: list[Path]) -> None:
    """Lays the files out as the project's formatter does, wherever they are."""
    names = [str(path) for path in paths]
    sort = ["check", "--fix", "--select=I", "--config=lint.isort.known-first-party=['podkeeper']"]
    for command in (sort, ["format"]):
        ruff = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "-q",
            "--isolated",
            "--line-length=120",
            "--target-version=py311",
        ]
        subprocess.run([*ruff, *names], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facts", type=Path)
    parser.add_argument("--source-root", type=Path, default=Path(__file__).parent.parent / "src")
    arguments = parser.parse_args()
    written = []
    for name, text in sorted(generate(arguments.facts).items()):
        path = arguments.source_root / "podkeeper" / "api" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.suffix == ".py":
            written.append(path)
    format_files(written)


if __name__ == "__main__":
    main()
