"""What /metrics tells of configuration files that are obeyed while serving, with upstream's names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from podkeeper.foundation.exposition import Counters, Family, Sample


class ReloadFigures:
    """Counts the reloads of one file. ``kind`` is authentication or authorization; ``server`` tells this API server
    from others."""

    def __init__(self, kind: str, server: str) -> None:
        self._prefix = f"apiserver_{kind}_config_controller_automatic_reload"
        self._server = "sha256:" + hashlib.sha256(server.encode()).hexdigest()
        self._counts = Counters(f"{self._prefix}s_total", "Reloads.", "apiserver_id_hash", "status")
        self._moments: dict[str, float] = {}

    def note(self, succeeded: bool, now: float) -> None:
        """A changed file has been obeyed, or could not be."""
        status = "success" if succeeded else "failure"
        self._counts[self._server, status] += 1
        self._moments[status] = now

    def families(self) -> Sequence[Family]:
        """How often, and when last."""

        def last() -> Iterator[Sample]:
            for status, moment in sorted(self._moments.items()):
                yield {"apiserver_id_hash": self._server, "status": status}, moment

        text = "Time of the last reload since the epoch."
        return (self._counts.family(), Family(f"{self._prefix}_last_timestamp_seconds", "gauge", text, last))
