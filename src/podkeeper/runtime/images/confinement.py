"""Making a directory that others have filled the root directory of a worker program, without running what is in it.

Python imports modules, and the C library loads others of its own, when first needed: after chroot they would come from
the directory. So everything is loaded before, and imports end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

from podkeeper.runtime.images import streams


def confine(root: str) -> None:
    """Enters ``root`` for good. What was not imported by now cannot be any more."""
    streams.load_all()
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1")  # glibc loads it when the first thread ends
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()
    os.umask(0)
    os.chroot(root)
    os.chdir("/")
