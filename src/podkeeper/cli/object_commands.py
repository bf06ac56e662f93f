"""Commands about objects, for machines without kubectl: apply, get, delete; the server renders."""

from __future__ import annotations

import sys
from typing import Any

import click

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.cli import manifests, session
from podkeeper.cli.getting import GetRequest, show
from podkeeper.cli.kinds import Kinds, label
from podkeeper.cli.options import data_dir, namespace
from podkeeper.cli.targets import Target, parse
from podkeeper.client.api import PatchKind
from podkeeper.client.rest import RestApi
from podkeeper.cluster.layout import Layout


@click.command()
@data_dir
@namespace
@click.option("-f", "--filename", "files", multiple=True, required=True, help="A file, a directory, a URL, or - .")
def apply(layout: Layout, namespace: str, files: tuple[str, ...]) -> None:
    """Make the cluster's objects what the manifests say, by server-side apply.

    What an earlier manifest said and this one no longer mentions goes, unless somebody else manages it.
    """
    objects = manifests.read_all(files)

    async def work(api: RestApi) -> bool:
        kinds, well = await Kinds.discover(api), True
        for tree in objects:
            resource, metadata = kinds.of_object(tree), tree["metadata"]
            home = (metadata.get("namespace") or namespace) if resource.namespaced else ""
            try:
                outcome = await apply_object(api, resource, home, tree)
            except ApiError as error:
                click.echo(f"error: {label(resource, metadata['name'])}: {session.refusal(error)}", err=True)
                well = False
            else:
                click.echo(f"{label(resource, metadata['name'])} {outcome}")
        return well

    sys.exit(0 if session.run(layout, work) else 1)


async def apply_object(api: RestApi, resource: Resource, home: str, tree: dict[str, Any]) -> str:
    """Applies the manifest on the server, which creates what is missing: created, configured or unchanged."""
    client, name = api.of_resource(resource), tree["metadata"]["name"]
    try:
        before = await client.get(name, home)
    except ApiError as error:
        if error.code != 404:
            raise
        before = None
    after = await client.patch(name, tree, home, kind=PatchKind.APPLY)
    if before is None:
        return "created"
    return "unchanged" if _content(before) == _content(after) else "configured"


def _content(tree: dict[str, Any]) -> dict[str, Any]:
    """What people write of an object, without what the server and the node keep in it."""
    kept = {name: value for name, value in tree.items() if name != "status"}
    dropped = ("generation", "managedFields", "resourceVersion")
    return kept | {"metadata": {name: value for name, value in tree["metadata"].items() if name not in dropped}}


@click.command()
@data_dir
@namespace
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of every namespace.")
@click.option("-l", "--selector", default="", help="A label selector.")
@click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml", "name"]), default="table")
@click.option("-w", "--watch", is_flag=True, help="Go on with what changes; tables and names, one type.")
@click.argument("what", nargs=-1, required=True)
def get(
    layout: Layout,
    namespace: str,
    all_namespaces: bool,
    selector: str,
    output: str,
    watch: bool,
    what: tuple[str, ...],
) -> None:
    """Show objects as the server renders them: TYPE[,TYPE...] [NAME...], or TYPE/NAME for each."""
    if watch and output in ("json", "yaml"):
        raise click.UsageError("--watch shows tables and names")
    request = GetRequest("" if all_namespaces else namespace, selector, output, watch)

    async def work(api: RestApi) -> None:
        targets = parse(what, await Kinds.discover(api))
        if selector and any(target.name for target in targets):
            raise click.UsageError("either names or --selector")
        if all_namespaces and any(target.name and target.resource.namespaced for target in targets):
            raise click.UsageError("a name says nothing without its namespace: leave out --all-namespaces")
        if watch and len(targets) > 1:
            raise click.UsageError("--watch follows one type, or one object")
        await show(api, targets, request)

    session.run(layout, work)


@click.command()
@data_dir
@namespace
@click.option("--grace-period", type=int, help="Seconds the pod's containers get to end; 0 deletes at once.")
@click.option(
    "-f", "--filename", "files", multiple=True, help="What these manifests name: a file, a directory, a URL, - ."
)
@click.option("--all", "everything", is_flag=True, help="All objects of the type in the namespace.")
@click.option("-l", "--selector", default="", help="Those with these labels.")
@click.argument("what", nargs=-1)
def delete(
    layout: Layout,
    namespace: str,
    grace_period: int | None,
    files: tuple[str, ...],
    everything: bool,
    selector: str,
    what: tuple[str, ...],
) -> None:
    """Delete objects: TYPE NAME..., TYPE/NAME..., or TYPE with --all or --selector.

    Returns when the server has accepted it; pods take their grace period to end.
    """
    objects = manifests.read_all(files)
    if not (objects or what):
        raise click.UsageError("name what to delete: TYPE NAME..., TYPE/NAME..., or -f FILE")
    if everything and selector:
        raise click.UsageError("either --all or --selector")

    async def work(api: RestApi) -> bool:
        kinds = await Kinds.discover(api)
        chosen = [(Target(kinds.of_object(tree), tree["metadata"]["name"]), tree["metadata"]) for tree in objects]
        chosen += [(target, {}) for target in parse(what, kinds)] if what else []
        well = True
        for target, metadata in chosen:
            home = (metadata.get("namespace") or namespace) if target.resource.namespaced else ""
            for name in await _names(api, target, home, everything, selector):
                well &= await _delete(api, Target(target.resource, name), home, grace_period)
        return well

    sys.exit(0 if session.run(layout, work) else 1)


async def _names(api: RestApi, target: Target, home: str, everything: bool, selector: str) -> list[str]:
    if target.name and not (everything or selector):
        return [target.name]
    if target.name or not (everything or selector):
        raise click.UsageError(f"{target}: either a name, or --all or --selector")
    listed = await api.of_resource(target.resource).list(home, label_selector=selector)
    return [tree["metadata"]["name"] for tree in listed.items]


async def _delete(api: RestApi, target: Target, home: str, grace_period: int | None) -> bool:
    try:
        await api.of_resource(target.resource).delete(target.name, home, grace_period=grace_period)
    except ApiError as error:
        click.echo(f"error: {target}: {session.refusal(error)}", err=True)
        return False
    click.echo(f"{target} deleted")
    return True
