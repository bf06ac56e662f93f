"""Owners that are named twice: one of them goes, and the client is told.

Source: upstream's apiserver/pkg/endpoints/handlers (dedupOwnerReferences).
"""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]

_ADVICE = (
    "API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your "
    "requests; duplicate UID(s) observed: "
)
IN_REQUEST = f".metadata.ownerReferences contains duplicate entries; {_ADVICE}"
AFTER_ADMISSION = f".metadata.ownerReferences contains duplicate entries after mutating admission happens; {_ADVICE}"


def keep_each_once(metadata: Tree, warnings: list[str], text: str) -> None:
    """Takes out of an object's metadata, in place, what is there already; says so in ``warnings``, beginning with
    ``text``. What is no list, validation refuses."""
    given = metadata.get("ownerReferences")
    if not isinstance(given, list) or len(given) < 2:
        return
    kept: list[Any] = []
    twice: list[str] = []
    for reference in given:
        if reference not in kept:
            kept.append(reference)
        elif isinstance(reference, dict):
            twice.append(str(reference.get("uid", "")))
    if twice:
        metadata["ownerReferences"] = kept
        warnings.append(f"{text}[{' '.join(twice)}]")
