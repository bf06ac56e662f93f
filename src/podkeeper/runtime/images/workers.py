"""Running our own worker programs (``python -m podkeeper...``) off the event loop, and never leaving one behind."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import IO, Any


@contextlib.asynccontextmanager
async def worker(
    module: str,
    arguments: Sequence[str],
    *,
    stdin: int | IO[Any] = asyncio.subprocess.DEVNULL,
    stdout: int | IO[Any] = asyncio.subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running worker; killed if it still runs when the context ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-Xutf8",  # a name is the same bytes in an archive and on the disk, whatever the locale
        "-m",
        module,
        *arguments,
        stdin=stdin,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=tuple(pass_fds),
    )
    async with ended(process):
        yield process


@contextlib.asynccontextmanager
async def ended(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """The process has ended when the context does, killed if need be."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
