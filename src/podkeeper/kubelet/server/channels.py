"""The channel protocol over WebSockets: one byte says which stream a message is of. Pure.

v4.channel.k8s.io: stdin 0, stdout 1, stderr 2, error 3 (a Status when all is over), resize 4 (JSON).
v5.channel.k8s.io: as v4, and message ``255, N`` closes stream N (KEP-4006).
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)


class Input(Struct, frozen=True):
    """Bytes for stdin."""

    data: bytes


class InputClosed(Struct, frozen=True):
    """Stdin has ended."""


class Resized(Struct, frozen=True):
    """The terminal has another size."""

    width: int
    height: int


Message = Input | InputClosed | Resized | None


def read_message(data: bytes, protocol: str) -> Message:
    """What a client's message means; None for one that means nothing to us."""
    if not data:
        return None
    channel, payload = data[0], data[1:]
    if channel == STDIN:
        return Input(payload)
    if channel == RESIZE:
        return _resized(payload)
    if channel == CLOSE and protocol == V5 and payload[:1] == bytes((STDIN,)):
        return InputClosed()
    return None


def _resized(payload: bytes) -> Resized | None:
    """Members are known in any case of letters, as Go reads them: the JavaScript client writes them small."""
    try:
        size = {name.lower(): value for name, value in json.loads(payload).items()}
        return Resized(int(size["width"]), int(size["height"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def output(channel: int, data: bytes) -> bytes:
    """A message of one of our streams."""
    return bytes((channel,)) + data


def exit_status(code: int) -> bytes:
    """The Status on the error channel that says how a command ended."""
    if code == 0:
        return _status({"metadata": {}, "status": "Success"})
    return _status(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    )


def failure_status(message: str) -> bytes:
    """The Status on the error channel for a command that could not run."""
    return _status({"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500})


def _status(tree: dict[str, Any]) -> bytes:
    return output(ERROR, json.dumps(tree, separators=(",", ":")).encode())
