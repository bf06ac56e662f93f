"""``podkeeper image``: the node's images, whether or not the node is running."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from podkeeper.cli.options import data_dir
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.runtime.cri_images import ImageStatus
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

T = TypeVar("T")


@click.group()
def image() -> None:
    """Work with the images of this node."""


@image.command("import")
@data_dir
@click.argument("file", type=click.Path(exists=True, path_type=Path))
def import_(layout: Layout, file: Path) -> None:
    """Import a docker archive or an OCI layout."""
    for found in _with_store(layout, lambda store: store.import_archive(file)):
        click.echo(f"imported {', '.join(found.tags) or found.id}")


@image.command()
@data_dir
@click.argument("reference")
def pull(layout: Layout, reference: str) -> None:
    """Pull an image from its registry."""
    click.echo(f"pulled {_with_store(layout, lambda store: store.pull_image(reference))}")


@image.command()
@data_dir
@click.option("-t", "--tag", "tags", multiple=True, required=True, help="The image's name; may be repeated.")
@click.option("-f", "--file", "dockerfile", type=click.Path(path_type=Path), help="The Dockerfile; DIR/Dockerfile.")
@click.option("--build-arg", "arguments", multiple=True, help="NAME=VALUE for an ARG.")
@click.option("--target", default="", help="The stage to end with; the last one.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def build(
    layout: Layout,
    tags: tuple[str, ...],
    dockerfile: Path | None,
    arguments: tuple[str, ...],
    target: str,
    directory: Path,
) -> None:
    """Build an image from a Dockerfile."""
    from podkeeper.runtime.build.builder import Builder
    from podkeeper.runtime.build.options import BuildEvent, BuildOptions
    from podkeeper.runtime.build.runner import OciRunner

    def report(event: BuildEvent) -> None:
        if event.text:
            click.echo(f"line {event.line}: {event.text}" + (" (cached)" if event.cached else ""))
        if event.output:
            click.echo(event.output, nl=False)

    given = dict(each.partition("=")[::2] for each in arguments)
    options = BuildOptions(directory, tags, dockerfile, given, target)

    async def work(store: ImageStore) -> ImageStatus:
        async with OciRunner.open(layout.builds, layout.cgroup("build")) as runner:
            return await Builder(store, runner, report).build(options)

    found = _with_store(layout, work)
    click.echo(f"built {', '.join(found.tags) or found.id}")


@image.command("ls")
@data_dir
def list_(layout: Layout) -> None:
    """List the images."""
    rows = [("IMAGE", "ID", "SIZE")]
    for each in _with_store(layout, lambda store: store.list_images()):
        for name in each.tags or each.digests or ("<none>",):
            rows.append((name, each.id.removeprefix("sha256:")[:12], _size(each)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@image.command("rm")
@data_dir
@click.argument("references", nargs=-1, required=True)
def remove(layout: Layout, references: tuple[str, ...]) -> None:
    """Remove names, and images whose last name goes."""

    async def work(store: ImageStore) -> bool:
        well = True
        for reference in references:
            if await store.image_status(reference) is None:
                click.echo(f"error: there is no image {reference} on this node", err=True)
                well = False
            else:
                await store.remove_image(reference)
                click.echo(f"removed {reference}")
        return well

    sys.exit(0 if _with_store(layout, work) else 1)


def _with_store(layout: Layout, work: Callable[[ImageStore], Awaitable[T]]) -> T:
    async def session() -> T:
        store = ImageStore(ImageStoreConfig(layout.images))
        try:
            return await work(store)
        finally:
            await store.close()

    layout.create()  # images may come before the first start
    try:
        return asyncio.run(session())
    except (RuntimeFailure, ValueError) as error:
        raise ClusterError(str(error)) from error


def _size(status: ImageStatus) -> str:
    return f"{status.size / 1_000_000:.1f} MB"
