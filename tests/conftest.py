"""Fixtures for the whole suite: a network namespace of the test's own, from which nothing leaves the machine."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

#: A machine that does other things too may take long over any single example.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, action: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{action}: {os.strerror(code)}")


@pytest.fixture
def own_netns() -> Iterator[None]:
    """Moves the test's thread (and every thread and process it starts) into a fresh network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(CLONE_NEWNET), "unshare network namespace")
        yield
    finally:
        _check(_libc.setns(home, CLONE_NEWNET), "return to the network namespace")
        os.close(home)
