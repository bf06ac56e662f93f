"""A file whose content is looked at now and then, as kubelets and API servers look at their configuration: editors and
mounted volumes replace files in too many ways for notifications to be relied on."""

from __future__ import annotations

from pathlib import Path

from podkeeper.foundation.clock import Clock

#: Seconds between two looks.
PERIOD = 5.0


class WatchedFile:
    """Remembers the content that was seen last."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.path = path
        self.content = path.read_bytes()

    async def changed(self, clock: Clock) -> bytes:
        """Waits until there is other content, and returns it. A file that is away is waited for."""
        while True:
            await clock.sleep(PERIOD)
            content = self._read()
            if content not in (None, self.content):
                self.content = content
                return content

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None
