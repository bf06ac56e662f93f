"""PriorityClasses are born with generation 1 and keep it."""

from __future__ import annotations

import msgspec

from podkeeper.registry.strategies.base import Rules, Strategy


class PriorityClassStrategy(Strategy):
    """Source: upstream's priorityclass strategy."""

    rules = Rules(generation=True)

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """Nothing does."""
        return False
