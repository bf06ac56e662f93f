"""How containers end: by a signal that we send, with a code that the monitor has written down."""

from __future__ import annotations

import signal
from pathlib import Path

from podkeeper.runtime.engine.records import ContainerRecord, Exit
from podkeeper.runtime.failures import RuntimeFailure

START_ERROR_CODE = 128
_KILLED = 128 + signal.SIGKILL


def read_exit(directory: Path, record: ContainerRecord, now: int) -> Exit:
    """How a container ended, from the monitor's files; SIGKILLed when the monitor died without leaving any."""
    file = directory / "exits" / record.id
    try:
        code, finished_at = int(file.read_text()), file.stat().st_mtime_ns
    except (FileNotFoundError, ValueError):
        return Exit(_KILLED, "Error", now, "its monitor was killed, so it was killed too")
    if (directory / "oom").exists():
        return Exit(code, "OOMKilled", finished_at)
    return Exit(code, "Completed" if code == 0 else "Error", finished_at)


def stop_signal_number(text: str) -> int:
    """The number of ``SIGTERM``, ``TERM``, ``15`` or ``SIGRTMIN+3``. RuntimeFailure for what is no signal."""
    name = text.upper().removeprefix("SIG")
    base, plus, offset = name.partition("+")
    try:
        if name.isdigit():
            return signal.Signals(int(name)).value
        return signal.Signals[f"SIG{base}"].value + (int(offset) if plus else 0)
    except (KeyError, ValueError) as error:
        raise RuntimeFailure(f"unknown stop signal {text!r}") from error
