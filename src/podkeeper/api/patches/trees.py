"""Plain JSON trees: copying and comparing them, and refusing a patch."""

from __future__ import annotations

from typing import Any

from podkeeper.api.errors import ApiError


def copied(tree: Any) -> Any:
    """A copy that shares no dict or list with the original."""
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [copied(value) for value in tree]
    return tree


def equal(left: Any, right: Any) -> bool:
    """Whether two trees are the same JSON; ``true`` and ``1`` are not, ``1`` and ``1.0`` are."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def unprocessable() -> ApiError:
    """422 for a patch that is well formed and cannot be applied; upstream says no more than this."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", detailed=True)


def failed(message: str) -> ApiError:
    """500 for a patch that contradicts itself or the schema, which upstream takes for a mistake of its own."""
    return ApiError(500, "", message)
