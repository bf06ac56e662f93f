"""Which signals the first process of a PID namespace takes notice of."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from podkeeper.runtime.engine.heeding import _heeds, heeds

TERM, USR1 = "0000000000004000", "0000000000000200"


@pytest.mark.parametrize(
    ("status", "heeded"),
    [
        ({"NSpid": "812\t1", "SigCgt": "0000000000000000", "SigBlk": "0000000000000000"}, False),
        ({"NSpid": "812\t1", "SigCgt": USR1, "SigBlk": "0000000000000000"}, False),
        ({"NSpid": "812\t1", "SigCgt": TERM, "SigBlk": "0000000000000000"}, True),
        ({"NSpid": "812\t1", "SigCgt": "0000000000000000", "SigBlk": TERM}, True),
        ({"NSpid": "812\t7", "SigCgt": "0000000000000000", "SigBlk": "0000000000000000"}, True),
        ({"NSpid": "812", "SigCgt": "0000000000000000", "SigBlk": "0000000000000000"}, True),
    ],
    ids=["nothing", "another", "caught", "blocked", "not the first", "of no namespace"],
)
def test_the_first_process_heeds_what_it_has_provided_for(status: dict[str, str], heeded: bool) -> None:
    assert _heeds(status, signal.SIGTERM) is heeded


def test_processes_of_this_namespace_heed_everything_and_those_that_are_gone_too() -> None:
    assert heeds(os.getpid(), signal.SIGTERM)
    process = subprocess.Popen(["true"])
    process.wait()
    assert heeds(process.pid, signal.SIGTERM)
