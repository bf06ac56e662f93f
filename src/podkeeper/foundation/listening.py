"""A socket that takes connections, before anybody answers them: who comes early waits instead of being refused.

What answers may be loaded when somebody comes, which on many machines is never.
"""

from __future__ import annotations

import os
import socket

#: Connections that may wait.
BACKLOG = 1024


def open_listener(address: str, port: int) -> socket.socket:
    """Listens on ``address`` (0.0.0.0 and :: are all of a family) and ``port`` (0 is any); OSError when it cannot."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0)) from None  # callers say which address it was
    listener.setblocking(False)
    # Accepted connections inherit it: an answer must not wait for the acknowledgement of what went before it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def first_connection(listener: socket.socket) -> None:
    """Returns when somebody waits at ``listener``; the connection stays there."""
    import asyncio

    loop = asyncio.get_running_loop()
    knocked = asyncio.Event()
    loop.add_reader(listener, knocked.set)
    try:
        await knocked.wait()
    finally:
        loop.remove_reader(listener)
