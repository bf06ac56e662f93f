"""Names of properties as expressions write them: ``x-y`` is ``x__dash__y``, ``namespace`` is ``__namespace__``.

Source: Kubernetes reference, Custom Resources, "Validation rules", on escaping.
"""

from __future__ import annotations

import re

from podkeeper.api.cel.lexer import RESERVED, WORDS

_NAME = re.compile(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*", re.ASCII)
_SPECIAL = re.compile(r"__|\.|-|/")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escape(name: str) -> str | None:
    """The name that expressions use; None for a property that they cannot name."""
    if name in RESERVED or name in WORDS:
        return f"__{name}__"
    if not _NAME.fullmatch(name):
        return None
    return _SPECIAL.sub(lambda match: _ESCAPES[match.group()], name)
