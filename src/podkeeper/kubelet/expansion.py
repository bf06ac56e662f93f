"""``$(VAR)`` references in commands, arguments and environment values.

Rule: ``$(NAME)`` becomes the variable's value, or stays as it is when there is none; ``$$`` is a literal ``$``.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``text`` with its references replaced."""
    if "$" not in text:
        return text
    return _REFERENCE.sub(lambda match: _replacement(match, variables), text)


def _replacement(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match.group(0) == "$$":
        return "$"
    return variables.get(match.group(1), match.group(0))


def expand_strictly(text: str, variables: Mapping[str, str]) -> str:
    """As ``expand``, but a reference without a value raises KeyError with its name (subPathExpr)."""

    def strict(match: re.Match[str]) -> str:
        return "$" if match.group(0) == "$$" else variables[match.group(1)]

    return _REFERENCE.sub(strict, text)
