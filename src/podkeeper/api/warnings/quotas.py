"""Quotas.

Source: upstream's strategy of resource quotas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podkeeper.api.core import v1

_LIMITED = ("cpu", "memory", "storage", "ephemeral-storage")
_BARE = ("cpu", "memory")


def resource_quota(new: v1.ResourceQuota, old: v1.ResourceQuota | None) -> Iterator[str]:
    """A new quota that takes more requests than limits, which no pod has."""
    if old is not None or new.spec is None:
        return
    hard = new.spec.hard
    for name in _LIMITED:
        requests = name if name in _BARE and f"requests.{name}" not in hard else f"requests.{name}"
        request, limit = hard.get(requests), hard.get(f"limits.{name}")
        if request is not None and limit is not None and request > limit:
            yield f"ResourceQuota {requests} ({request}) should be less than limits.{name} ({limit})"
