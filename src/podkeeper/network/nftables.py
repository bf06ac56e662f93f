"""Rules into the kernel: libnftables in this process, or the ``nft`` program where the library is missing.

One ``apply`` is one transaction: all of it holds afterwards or nothing has changed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import subprocess
from typing import Any, Protocol

_OUTPUT_JSON = 1 << 4


class NftablesError(Exception):
    """A transaction or query failed; the text is nft's own explanation."""


class Nftables(Protocol):
    """A way to run nft commands in the network namespace of this process."""

    def apply(self, script: str) -> None:
        """Runs ``script`` as one transaction. Raises NftablesError and changes nothing when any line fails."""
        ...

    def query(self, command: str) -> list[dict[str, Any]]:
        """Runs a ``list`` command and returns the objects of nft's JSON answer."""
        ...


class LibNftables:
    """libnftables.so.1 by ctypes: no process is started, a thousand elements take about 5 ms."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for function in (library.nft_ctx_buffer_output, library.nft_ctx_buffer_error):
            function.argtypes = [ctypes.c_void_p]
        library.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
        library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        self._library = library

    def apply(self, script: str) -> None:
        """See Nftables."""
        self._run(script, 0)

    def query(self, command: str) -> list[dict[str, Any]]:
        """See Nftables."""
        return _objects(self._run(command, _OUTPUT_JSON))

    def _run(self, script: str, flags: int) -> str:
        library, context = self._library, self._library.nft_ctx_new(0)
        try:
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            library.nft_ctx_output_set_flags(context, flags)
            if library.nft_run_cmd_from_buffer(context, script.encode()) != 0:
                raise NftablesError(library.nft_ctx_get_error_buffer(context).decode(errors="replace").strip())
            return str(library.nft_ctx_get_output_buffer(context).decode())
        finally:
            library.nft_ctx_free(context)


class NftProgram:
    """The ``nft`` program, one process a call."""

    def apply(self, script: str) -> None:
        """See Nftables."""
        self._run(["nft", "-f", "-"], script)

    def query(self, command: str) -> list[dict[str, Any]]:
        """See Nftables."""
        return _objects(self._run(["nft", "-j", "-f", "-"], command))

    def _run(self, arguments: list[str], script: str) -> str:
        try:
            done = subprocess.run(arguments, input=script, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise NftablesError("nft is not installed: install the package nftables") from error
        if done.returncode != 0:
            raise NftablesError(done.stderr.strip())
        return done.stdout


def open_nftables() -> Nftables:
    """The library where it can be loaded, else the program."""
    try:
        return LibNftables()
    except OSError:
        return NftProgram()


def _objects(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["nftables"]) if text.strip() else []
