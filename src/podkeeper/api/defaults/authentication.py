"""TokenRequest, the body of a service account's token subresource."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults.trees import child, fill

Tree = dict[str, Any]


def token_request(tree: Tree) -> None:
    """TokenRequest: an hour."""
    fill(child(tree, "spec"), "expirationSeconds", 3600)
