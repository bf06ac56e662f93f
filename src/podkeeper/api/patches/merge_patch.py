"""JSON Merge Patch: what the patch has replaces or, for objects, merges; null deletes; lists are replaced whole.

Source: RFC 7386.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api.errors import bad_request
from podkeeper.api.patches.trees import copied


def apply(tree: Any, patch: Any) -> Any:
    """The patched tree. ApiError 400 when the patch is not an object, as a patch of an API object must be."""
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: a merge patch must be a JSON object")
    return merged(tree, patch)


def merged(tree: Any, patch: Any) -> Any:
    """RFC 7386's MergePatch function, for any two JSON values."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(tree) if isinstance(tree, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
