"""What goes wrong in a build, with the line of the Dockerfile that is to blame."""

from __future__ import annotations

from podkeeper.runtime.failures import RuntimeFailure


class BuildFailure(RuntimeFailure):
    """A build cannot go on. ``line`` counts from 1; 0 when no line is to blame."""

    def __init__(self, why: str, line: int = 0, name: str = "Dockerfile") -> None:
        super().__init__(f"{name}:{line}: {why}" if line else why)
        self.why, self.line = why, line

    def at(self, line: int) -> BuildFailure:
        """The same failure with a line, unless it has one."""
        return self if self.line else BuildFailure(self.why, line)
