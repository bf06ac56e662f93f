"""Commands about objects, for machines without kubectl: apply, get, delete, logs, exec; the server renders."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.cli import manifests, session
from podkeeper.cli.kinds import Kinds
from podkeeper.cli.options import data_dir, namespace
from podkeeper.client.api import PatchKind
from podkeeper.client.rest import RestApi
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@click.command()
@data_dir
@namespace
@click.option("-f", "--filename", "files", multiple=True, required=True, help="A file, a directory, or - .")
def apply(layout: Layout, namespace: str, files: tuple[str, ...]) -> None:
    """Create what is not there, and patch what differs."""
    objects = [each for file in files for each in manifests.read(file)]

    async def work(api: RestApi) -> None:
        kinds = await Kinds.discover(api)
        for tree in objects:
            resource = kinds.of_object(tree)
            home = tree.get("metadata", {}).get("namespace") or namespace
            outcome = await apply_object(api, resource, home if resource.namespaced else "", tree)
            click.echo(f"{resource.kind.lower()}/{tree['metadata']['name']} {outcome}")

    session.run(layout, work)


async def apply_object(api: RestApi, resource: Resource, home: str, tree: dict[str, Any]) -> str:
    """Creates the object, or merges the manifest into what is there: created, configured or unchanged."""
    client = api.of_resource(resource)
    name = tree.get("metadata", {}).get("name")
    if not name:
        raise ClusterError(f"a manifest of kind {resource.kind} has no metadata.name")
    try:
        present = await client.get(name, home)
    except ApiError as error:
        if error.code != 404:
            raise
        await client.create(tree, home)
        return "created"
    kind = (
        PatchKind.STRATEGIC if resource.group.count(".") <= 1 or resource.group.endswith(".k8s.io") else PatchKind.MERGE
    )
    after = await client.patch(name, tree, home, kind=kind)
    same = present["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return "unchanged" if same else "configured"


@click.command()
@data_dir
@namespace
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of every namespace.")
@click.option("-l", "--selector", default="", help="A label selector.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml", "name"]), default="table")
@click.argument("kind")
@click.argument("name", required=False)
def get(
    layout: Layout, namespace: str, all_namespaces: bool, selector: str, output: str, kind: str, name: str | None
) -> None:
    """Show objects as the server renders them."""
    kind, _, inline = kind.partition("/")
    accept = _TABLE if output in ("table", "wide") else "application/json"

    async def work(api: RestApi) -> tuple[Resource, dict[str, Any]]:
        resource = (await Kinds.discover(api)).by_name(kind)
        path = resource.path("" if all_namespaces else namespace, name or inline)
        query = {"labelSelector": selector} if selector else {}
        return resource, msgspec.json.decode(await _fetch(api, path, query, accept))

    resource, tree = session.run(layout, work)
    if output in ("json", "yaml"):
        click.echo(_dump(tree, output))
    elif output == "name":
        for item in tree.get("items", [tree]):
            click.echo(f"{resource.singular}/{item['metadata']['name']}")
    else:
        _print_table(tree, wide=output == "wide", with_namespace=all_namespaces and resource.namespaced)


@click.command()
@data_dir
@namespace
@click.option("--grace-period", type=int, help="Seconds the pod's containers get to end; 0 deletes at once.")
@click.option("-f", "--filename", "files", multiple=True, help="Delete what these manifests name.")
@click.argument("kind", required=False)
@click.argument("names", nargs=-1)
def delete(
    layout: Layout,
    namespace: str,
    grace_period: int | None,
    files: tuple[str, ...],
    kind: str | None,
    names: tuple[str, ...],
) -> None:
    """Delete objects."""
    objects = [each for file in files for each in manifests.read(file)]
    if not objects and not (kind and (names or "/" in kind)):
        raise click.UsageError("name what to delete: KIND NAME..., or -f FILE")

    async def work(api: RestApi) -> None:
        kinds = await Kinds.discover(api)
        chosen = [(kinds.of_object(tree), tree["metadata"]) for tree in objects]
        if kind:
            plural, _, inline = kind.partition("/")
            chosen += [(kinds.by_name(plural), {"name": each}) for each in (*((inline,) if inline else ()), *names)]
        for resource, metadata in chosen:
            home = metadata.get("namespace") or namespace
            await api.of_resource(resource).delete(
                metadata["name"], home if resource.namespaced else "", grace_period=grace_period
            )
            click.echo(f"{resource.singular}/{metadata['name']} deleted")

    session.run(layout, work)


@click.command()
@data_dir
@namespace
@click.option("-c", "--container", default="", help="Which container; needed when the pod has several.")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("-p", "--previous", is_flag=True, help="The log of the container's previous run.")
@click.option("--tail", type=int, help="Only the last lines.")
@click.option("--timestamps", is_flag=True, help="Each line with its time.")
@click.argument("pod")
def logs(
    layout: Layout,
    namespace: str,
    container: str,
    follow: bool,
    previous: bool,
    tail: int | None,
    timestamps: bool,
    pod: str,
) -> None:
    """Print a container's log."""
    flags = {"follow": follow, "previous": previous, "timestamps": timestamps}
    query = {key: "true" for key, value in flags.items() if value}
    query |= {"container": container} if container else {}
    query |= {"tailLines": str(tail)} if tail is not None else {}

    async def work(api: RestApi) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.removeprefix('pod/')}/log"
        async with api.stream(path, query) as (code, headers, chunks):
            if code != 200:
                await _fail(code, headers, b"".join([chunk async for chunk in chunks]))
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()

    session.run(layout, work)


@click.command(context_settings={"allow_interspersed_args": False})
@data_dir
@namespace
@click.option("-c", "--container", default="", help="Which container; needed when the pod has several.")
@click.option("-i", "--stdin", is_flag=True, help="Hand standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the command a terminal.")
@click.argument("pod")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(
    layout: Layout, namespace: str, container: str, stdin: bool, tty: bool, pod: str, command: tuple[str, ...]
) -> None:
    """Run a command in a container; the exit code is the command's."""
    from podkeeper.cli.terminal import ExecRequest, run_exec

    request = ExecRequest(namespace, pod.removeprefix("pod/"), container, command, stdin, tty)
    sys.exit(session.run(layout, lambda api: run_exec(api, request)))


async def _fetch(api: RestApi, path: str, query: dict[str, str], accept: str) -> bytes:
    code, headers, body = await api.request("GET", path, query=query, accept=accept)
    if code != 200:
        await _fail(code, headers, body)
    return body


async def _fail(code: int, headers: Any, body: bytes) -> None:
    from podkeeper.client.failures import from_answer

    raise from_answer(code, headers, body)


def _dump(tree: dict[str, Any], output: str) -> str:
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()
    import yaml

    return str(yaml.safe_dump(tree, sort_keys=False)).rstrip("\n")


def _print_table(table: dict[str, Any], *, wide: bool, with_namespace: bool) -> None:
    shown = [index for index, column in enumerate(table["columnDefinitions"]) if wide or not column.get("priority")]
    head = [table["columnDefinitions"][index]["name"].upper() for index in shown]
    rows = [[str(row["cells"][index]) for index in shown] for row in table.get("rows") or ()]
    if with_namespace:
        homes = [row["object"]["metadata"].get("namespace", "") for row in table.get("rows") or ()]
        head, rows = ["NAMESPACE", *head], [[home, *row] for home, row in zip(homes, rows, strict=True)]
    if not rows:
        click.echo("No resources found", err=True)
        return
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]
    for row in (head, *rows):
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


exec_command.name = "exec"
COMMANDS = (apply, get, delete, logs, exec_command)
