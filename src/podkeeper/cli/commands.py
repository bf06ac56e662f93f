"""The command line's root: every command, listed in the order in which people meet them."""

from __future__ import annotations

import sys
from typing import Any

import click

from podkeeper.cli import cluster_commands, demo, image_commands, object_commands
from podkeeper.cluster.errors import ClusterError


class _Root(click.Group):
    """Prints our own errors as two lines, what failed and what to do, instead of a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClusterError as error:
            click.echo(f"error: {error.message}", err=True)
            if error.advice:
                click.echo(f"try: {error.advice}", err=True)
            sys.exit(1)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="podkeeper")
def podkeeper() -> None:
    """Kubernetes 1.36 in Python: a real cluster whose pods are real Linux containers.

    The components are commands of their own too: podkeeper apiserver, controllers, scheduler, node (see --help).
    """


for command in (*cluster_commands.COMMANDS, demo.demo, image_commands.image, *object_commands.COMMANDS):
    podkeeper.add_command(command)
