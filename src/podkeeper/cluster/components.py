"""Runs one component in this process: its flags, its event loop, its way to end.

podkeeper apiserver | controllers | scheduler | node | supervisor  --data-dir D [--verbose]
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from podkeeper.cluster import settings
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import DEFAULT_DATA_DIR, Layout

if TYPE_CHECKING:
    import socket

SUMMARIES = {
    "apiserver": "The API server with its store.",
    "controllers": "The controllers, and the scheduler unless --no-scheduler is given.",
    "scheduler": "The scheduler alone.",
    "node": "The node: kubelet, container engine and pod network.",
    "supervisor": "Starts the other components and keeps them running, in the foreground.",
}


def run_component(name: str, arguments: Sequence[str]) -> None:
    """Parses the flags of a component and runs it until it is told to stop."""
    options = _parser(name).parse_args(arguments)
    layout = Layout.at(options.data_dir)
    try:
        if name == "supervisor":
            _supervise(layout)
        else:
            _serve(name, layout, options)
    except ClusterError as error:
        sys.exit(f"error: {error.message}" + (f"\ntry: {error.advice}" if error.advice else ""))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"podkeeper {name}", description=SUMMARIES[name])
    parser.add_argument("--data-dir", default=str(DEFAULT_DATA_DIR), help="where the cluster keeps everything")
    parser.add_argument("--verbose", action="store_true", help="log details too, as --v=4")
    parser.add_argument(
        "-v", "--v", type=int, default=0, metavar="N", help="how much is logged (3: requests; 4: details)"
    )
    parser.add_argument(
        "--logging-format", choices=("text", "json"), default="text", help="the form of the log's lines"
    )
    if name in ("controllers", "scheduler"):
        from podkeeper.cluster import election, observed

        election.add_flags(parser)
        observed.add_flags(parser, *(("controllers", "scheduler") if name == "controllers" else ("scheduler",)))
    if name == "controllers":
        parser.add_argument("--no-scheduler", action="store_true", help="leave scheduling to another process")
    return parser


def _supervise(layout: Layout) -> None:
    import os

    from podkeeper.cluster.pipes import REPORT_FD
    from podkeeper.cluster.supervisor import Supervisor, SupervisorLock

    _existing(layout)  # a directory that was removed meanwhile must not come back
    report = int(os.environ.pop(REPORT_FD, "1"))

    def tell(line: str) -> None:
        try:
            os.write(report, line.encode() + b"\n")
        except BrokenPipeError:
            os.write(2, line.encode() + b"\n")

    lock = SupervisorLock(layout)
    lock.acquire()
    Supervisor(layout, tell).run()


def _serve(name: str, layout: Layout, options: argparse.Namespace) -> None:
    gc.set_threshold(50_000, 20, 20)  # objects here live long: fewer, larger collections
    chosen = _existing(layout)
    if name == "apiserver":
        options.listener = _listen(chosen)  # what the other components ask while this one loads, waits
    import asyncio

    import uvloop

    from podkeeper.cluster.processes import PROCESSES
    from podkeeper.foundation.logs import log_to_stderr

    told = chosen.apiserver_args if name == "apiserver" else {}
    verbosity = max(options.v, int(told.get("v", 0)), 4 if options.verbose else 0)
    log_to_stderr(verbosity, told.get("logging-format", options.logging_format))
    process = PROCESSES[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(process(layout, chosen, options))


def _listen(chosen: settings.Settings) -> socket.socket:
    from podkeeper.foundation.listening import open_listener

    address = "::" if ":" in chosen.node_ip else "0.0.0.0"  # noqa: S104 - clients come from other machines too
    try:
        return open_listener(address, chosen.port)
    except OSError as error:
        raise ClusterError(f"cannot listen on port {chosen.port}: {error.strerror}", "podkeeper up --port P") from error


def _existing(layout: Layout) -> settings.Settings:
    chosen = settings.load(layout.settings)
    if chosen is None:
        raise ClusterError(f"there is no cluster in {layout.root}", "podkeeper up --detach")
    return chosen
