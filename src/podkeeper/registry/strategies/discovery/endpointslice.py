"""EndpointSlices: labels count for the generation too, since consumers find slices by them."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.registry.strategies.base import Rules, Strategy


class EndpointSliceStrategy(Strategy):
    """Source: upstream's endpointslice strategy."""

    rules = Rules(generation=True)

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """Anything but the rest of the metadata."""
        after: Any = new
        before: Any = old
        return super().changes_generation(new, old) or bool(after.metadata.labels != before.metadata.labels)
