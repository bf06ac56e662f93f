"""The command line's root: every command, listed in the order in which people meet them."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from podkeeper.cluster.errors import ClusterError

#: What a shell reports for a program that SIGINT has ended.
INTERRUPTED = 130

#: command -> where it lives, ``module:attribute``. A module is imported when its command is meant or all are listed.
COMMANDS: Mapping[str, str] = {
    "up": "cluster_commands:up",
    "down": "cluster_commands:down",
    "status": "cluster_commands:status",
    "reset": "cluster_commands:reset",
    "token": "cluster_commands:token",
    "demo": "demo:demo",
    "image": "image_commands:image",
    "apply": "object_commands:apply",
    "get": "object_commands:get",
    "delete": "object_commands:delete",
    "logs": "container_commands:logs",
    "exec": "container_commands:exec_command",
}


class _Root(click.Group):
    """Loads commands when they are asked for; prints our own errors as two lines, what failed and what to do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"podkeeper.cli.{module}"), attribute)
        return command

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
