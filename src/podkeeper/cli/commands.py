"""The command line's root: every command, listed in the order in which people meet them."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import click

from podkeeper.cli import cluster_commands, container_commands, demo, image_commands, object_commands
from podkeeper.cluster.errors import ClusterError

#: What a shell reports for a program that SIGINT has ended.
INTERRUPTED = 130


class _Root(click.Group):
    """Prints our own errors as two lines, what failed and what to do, instead of a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClusterError as error:
            _fail(error.message, error.advice)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has seen enough: click ends quietly
                raise
            allowed = not isinstance(error, PermissionError) or os.geteuid() == 0
            _fail(_file_trouble(error), "" if allowed else "the same as root, with sudo")
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def _fail(message: str, advice: str) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    if advice:
        click.echo(f"try: {advice}", err=True)
    sys.exit(1)


def _file_trouble(error: OSError) -> str:
    return f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="podkeeper")
def podkeeper() -> None:
    """Kubernetes 1.36 in Python: a real cluster whose pods are real Linux containers.

    The components are commands of their own too: podkeeper apiserver, controllers, scheduler, node (see --help).
    """


OBJECTS = (*object_commands.COMMANDS, *container_commands.COMMANDS)
for command in (*cluster_commands.COMMANDS, demo.demo, image_commands.image, *OBJECTS):
    podkeeper.add_command(command)
