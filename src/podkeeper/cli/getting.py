"""``podkeeper get``: one request a target, printed as asked for; with --watch, then a line for each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from podkeeper.cli.rendering import Columns, dump, names
from podkeeper.cli.session import fetch
from podkeeper.cli.targets import Target
from podkeeper.client.failures import from_answer
from podkeeper.client.frames import FrameReader, error_of
from podkeeper.client.rest import RestApi

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True, slots=True)
class GetRequest:
    """``namespace`` is empty for all of them; ``output`` is table, wide, json, yaml or name."""

    namespace: str
    selector: str
    output: str
    watch: bool

    @property
    def accept(self) -> str:
        """The media type of what is to be printed."""
        return _TABLE if self.output in ("table", "wide") else "application/json"


async def show(api: RestApi, targets: Sequence[Target], request: GetRequest) -> None:
    """Prints all targets, and goes on with the only one when it is to be watched. Raises ApiError."""
    query = {"labelSelector": request.selector} if request.selector else {}
    answers = []
    for target in targets:
        path = target.resource.path(request.namespace, target.name)
        answers.append((target, await fetch(api, path, query, request.accept)))
    if request.output in ("json", "yaml"):
        click.echo(dump([tree for _, tree in answers], request.output))
    elif request.output == "name":
        for target, tree in answers:
            _echo(names(target, tree))
    else:
        _print_tables(answers, request)
    if request.watch:
        await _follow(api, *answers[0], request)


def _print_tables(answers: Sequence[tuple[Target, dict[str, Any]]], request: GetRequest) -> None:
    several = len({target.resource.qualified_name for target, _ in answers}) > 1
    shown = 0
    for target, table in _joined(answers):
        columns = _columns(target, table, request, several)
        if rows := columns.rows(table):
            _echo(([""] if shown else []) + [columns.line(cells) for cells in (columns.head, *rows)])
            shown += 1
    if not shown:
        where = f" in {request.namespace} namespace" if request.namespace and answers[0][0].resource.namespaced else ""
        click.echo(f"No resources found{where}.", err=True)


def _joined(answers: Sequence[tuple[Target, dict[str, Any]]]) -> list[tuple[Target, dict[str, Any]]]:
    """One table a resource: several objects of it, each fetched by name, are rows of the same."""
    found: dict[str, tuple[Target, dict[str, Any]]] = {}
    for target, table in answers:
        key = target.resource.qualified_name
        if key in found:
            found[key][1]["rows"] = [*(found[key][1].get("rows") or ()), *(table.get("rows") or ())]
        else:
            found[key] = target, table
    return list(found.values())


def _columns(target: Target, table: dict[str, Any], request: GetRequest, several: bool) -> Columns:
    resource = target.resource
    kind = resource.kind.lower()
    return Columns(
        table,
        wide=request.output == "wide",
        with_namespace=not request.namespace and resource.namespaced,
        prefix=(f"{kind}.{resource.group}" if resource.group else kind) if several else "",
    )


async def _follow(api: RestApi, target: Target, first: dict[str, Any], request: GetRequest) -> None:
    """Prints a line for each change after the first answer, until the server ends the watch or the user does."""
    query = {"watch": "true", "resourceVersion": first["metadata"]["resourceVersion"]}
    query |= {"labelSelector": request.selector} if request.selector else {}
    query |= {"fieldSelector": f"metadata.name={target.name}"} if target.name else {}
    columns = _columns(target, first, request, several=False) if request.accept == _TABLE else None
    if columns:
        columns.rows(first)
    frames = FrameReader()
    path = target.resource.path(request.namespace)
    async with api.stream(path, query, accept=request.accept) as (code, headers, chunks):
        if code != 200:
            raise from_answer(code, headers, b"".join([chunk async for chunk in chunks]))
        async for chunk in chunks:
            for frame in frames.feed(chunk):
                if (error := error_of(frame)) is not None:
                    raise error
                tree = msgspec.json.decode(frame.object)
                _echo(map(columns.line, columns.rows(tree)) if columns else names(target, tree))


def _echo(lines: Any) -> None:
    for line in lines:
        click.echo(line)
