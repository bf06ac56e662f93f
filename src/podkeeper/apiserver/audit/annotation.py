"""Annotations of the request that is being answered, given by whoever knows something of it.

They belong to the task, so that nobody has to hand them down; outside an audited request they go nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

#: What is noted of requests to APIs that will go.
DEPRECATED = {"k8s.io/deprecated": "true"}
_CURRENT: ContextVar[tuple[dict[str, str], bool] | None] = ContextVar("audit annotations", default=None)


def collect(annotations: dict[str, str] | None, *, detailed: bool = False) -> None:
    """From now on this task's annotations go there; None drops them. ``detailed``: the level is Request or beyond."""
    _CURRENT.set(None if annotations is None else (annotations, detailed))


def is_detailed() -> bool:
    """Whether what tells of contents is wanted too."""
    current = _CURRENT.get()
    return current is not None and current[1]


def annotate(annotations: Mapping[str, str]) -> None:
    """Adds to the request's annotations; the first value of a key stays, as upstream has it."""
    current = _CURRENT.get()
    if current is not None:
        for key, value in annotations.items():
            current[0].setdefault(key, value)
