"""The entry point: long-running components go straight to their room, everything else to the command line.

A component must not pay for a command-line library in memory for as long as it lives.
"""

from __future__ import annotations

import sys

COMPONENTS = ("supervisor", "apiserver", "controllers", "scheduler", "node")


def main() -> None:
    """``podkeeper ...``"""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMPONENTS:
        from podkeeper.cluster.components import run_component

        run_component(arguments[0], arguments[1:])
    else:
        from podkeeper.cli.commands import podkeeper

        podkeeper(prog_name="podkeeper")
