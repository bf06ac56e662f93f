"""Commands about the inside of pods, for machines without kubectl: logs, exec."""

from __future__ import annotations

import sys
from urllib.parse import quote

import click

from podkeeper.cli import session
from podkeeper.cli.options import data_dir, namespace
from podkeeper.client.failures import from_answer
from podkeeper.client.rest import RestApi
from podkeeper.cluster.layout import Layout


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
        path = f"/api/v1/namespaces/{namespace}/pods/{quote(pod.removeprefix('pod/'), safe='')}/log"
        async with api.stream(path, query) as (code, headers, chunks):
            if code != 200:
                raise from_answer(code, headers, b"".join([chunk async for chunk in chunks]))
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
    """Run a command in a container: POD [--] COMMAND. The exit code is the command's."""
    from podkeeper.cli.terminal import ExecRequest, run_exec

    command = command[1:] if command[0] == "--" else command
    if not command:
        raise click.UsageError("name the command to run")
    if tty and stdin and not sys.stdin.isatty():
        click.echo("standard input is no terminal, so the command gets none either", err=True)
        tty = False
    request = ExecRequest(namespace, pod.removeprefix("pod/"), container, command, stdin, tty)
    sys.exit(session.run(layout, lambda api: run_exec(api, request)))


exec_command.name = "exec"
