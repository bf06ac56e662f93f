"""What a component process and its supervisor say to each other: two pipes, no polling.

supervisor --(parent pipe: held open)--> component     its end-of-file means that the supervisor is gone
supervisor <--(ready pipe: one line)---- component     written once, when the component does its work
"""

from __future__ import annotations

import contextlib
import os

#: Environment variables with the component's ends of the two.
PARENT_FD = "PODKEEPER_PARENT_FD"
READY_FD = "PODKEEPER_READY_FD"
#: The same for the supervisor: where it tells whoever started it in the background how that goes.
REPORT_FD = "PODKEEPER_REPORT_FD"


def tell_ready() -> None:
    """Tells the supervisor, if there is one, that this component does its work. Only the first call counts."""
    descriptor = os.environ.pop(READY_FD, "")
    if descriptor:
        with contextlib.suppress(BrokenPipeError):
            os.write(int(descriptor), b"ready\n")
        os.close(int(descriptor))
