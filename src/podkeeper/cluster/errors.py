"""What an operator sees when a cluster command fails: what was attempted and why it failed, and what to do."""

from __future__ import annotations


class ClusterError(Exception):
    """``advice`` is the next thing to try, empty when there is none."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message, self.advice = message, advice
