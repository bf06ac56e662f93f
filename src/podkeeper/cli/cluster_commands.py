"""Commands about the cluster as a whole: up, down, status, reset, token, and the tutorial's demo."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from podkeeper.cli.options import data_dir
from podkeeper.cluster import lifecycle, settings
from podkeeper.cluster.command_lock import alone
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.settings import REPEATED, Wishes


def _apiserver_args(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str] | None:
    """``FLAG=VALUE`` by flag; None without any. An empty value gives the flag up; some flags add up when they are
    repeated. Files are looked for from here: the server's own working directory is another."""
    found: dict[str, str] = {}
    for name, _, value in (each.removeprefix("--").partition("=") for each in values):
        if value:
            more = ",".join(_absolute(name, each) for each in value.split(",")) if name in REPEATED else None
            found[name] = ",".join(filter(None, (found.get(name), more))) if more else _absolute(name, value)
    return found if values else None


def _absolute(name: str, value: str) -> str:
    is_file = name.endswith(("-file", "-config", "-path")) and value != "-"
    return os.path.abspath(value) if is_file else value


@click.command()
@data_dir
@click.option("--detach", is_flag=True, help="Start in the background and return when the cluster is ready.")
@click.option("--node-name", help="The node's name; the host name by default.")
@click.option("--node-ip", help="The node's address; by default the one used towards the outside.")
@click.option("--port", type=int, help="The API server's port; 6443 by default.")
@click.option("--runtime-config", help="API versions to switch on or off, such as api/beta=true.")
@click.option("--encrypt-secrets", is_flag=True, default=None, help="Keep Secrets encrypted in the store.")
@click.option(
    "--apiserver-arg",
    "apiserver_args",
    multiple=True,
    metavar="FLAG=VALUE",
    callback=_apiserver_args,
    help="A flag of upstream's API server, such as authentication-config=FILE; may be repeated.",
)
def up(layout: Layout, detach: bool, **wished: Any) -> None:
    """Start the cluster."""
    wishes = Wishes(**wished)
    if lifecycle.is_running(layout):
        _refuse_changes(layout, wishes)
        click.echo(f"the cluster in {layout.root} is running already")
        return
    with alone(layout):
        chosen = lifecycle.prepare(layout, wishes)
    click.echo(f"starting node {chosen.node_name} at {chosen.server}")
    sys.stdout.flush()
    if not detach:
        lifecycle.become_supervisor(layout)
    lifecycle.start_in_background(layout, lambda line: click.echo(f"  {line}"))
    click.echo(f"kubeconfig: {layout.admin_kubeconfig}")


def _refuse_changes(layout: Layout, wishes: Wishes) -> None:
    """Raises ClusterError when a running cluster would have to be another one."""
    present = settings.load(layout.settings)
    if present is not None and settings.decide(present, wishes) != present:
        raise ClusterError(
            f"the cluster in {layout.root} is running already, at {present.server}",
            "podkeeper down, and then up with the new settings",
        )


@click.command()
@data_dir
@click.option("--keep-pods", is_flag=True, help="Leave the pods' containers running.")
def down(layout: Layout, keep_pods: bool) -> None:
    """Stop the cluster and its containers; everything stored stays."""
    from podkeeper.cluster.cleanup import stop_containers

    with alone(layout):
        stopped = lifecycle.stop(layout)
        if not keep_pods:
            stop_containers(layout)
    click.echo("the cluster is stopped" if stopped else "the cluster was not running")


@click.command()
@data_dir
def status(layout: Layout) -> None:
    """Tell what runs and whether it is well; the exit code is 0 only when everything is."""
    from podkeeper.cluster.diagnosis import diagnose

    findings = diagnose(layout)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.well else 'FAIL'} {finding.subject}: {finding.text}")
    sys.exit(0 if all(finding.well for finding in findings) else 1)


@click.command()
@data_dir
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(layout: Layout, yes: bool) -> None:
    """Remove the cluster and every trace of it from this machine."""
    from podkeeper.cluster.cleanup import remove_everything

    if not layout.entries():
        click.echo(f"nothing of a cluster is in {layout.root}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise ClusterError("reset asks first, and there is no terminal to ask at", "podkeeper reset --yes")
        click.confirm(f"This deletes the cluster in {layout.root}, all pods and all stored objects. Go on?", abort=True)
    with alone(layout):
        lifecycle.stop(layout)
        left = remove_everything(layout)
    for trace in left:
        click.echo(f"could not remove: {trace}", err=True)
    if left:
        sys.exit(1)
    click.echo(f"nothing of the cluster in {layout.root} is left")


@click.command()
@data_dir
@click.option("--as-admin", is_flag=True, help="A token of the cluster's administrator.")
def token(layout: Layout, as_admin: bool) -> None:
    """Print a bearer token."""
    from podkeeper.cluster.credentials import Credentials

    if not as_admin:
        raise click.UsageError("say whose token: --as-admin")
    path = Credentials.of(layout).admin_token
    if not path.exists():
        raise ClusterError(f"there is no cluster in {layout.root}", "podkeeper up --detach")
    click.echo(path.read_text().strip())
