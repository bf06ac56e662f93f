"""What mutating policies have beside the rest: keys inside the paths of JSON patches."""

from __future__ import annotations

from podkeeper.api.cel.library import Library

patches = Library("kubernetes.jsonpatch", since=(1, 32))


@patches.function("jsonpatch.escapeKey(string) -> string")
def escape_key(key: str) -> str:
    """RFC 6901: ``~`` is ``~0``, ``/`` is ``~1``."""
    return key.replace("~", "~0").replace("/", "~1")
