"""Kubernetes' regex library: what of a text a pattern matches."""

from __future__ import annotations

from podkeeper.api.cel.library import Library
from podkeeper.api.cel.patterns import compiled

regex = Library("kubernetes.regex")


@regex.method("find(string, string) -> string")
def find(text: str, pattern: str) -> str:
    """The first match; the empty string when there is none."""
    match = compiled(pattern).search(text)
    return match.group() if match else ""


@regex.method("findAll(string, string) -> list(string)", "findAll(string, string, int) -> list(string)")
def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    """All matches, or the first ones."""
    found: list[str] = []
    for match in compiled(pattern).finditer(text):
        if len(found) == limit:
            break
        found.append(match.group())
    return found
