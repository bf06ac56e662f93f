"""Kernel settings that the network needs, with a note of what they were, so that a reset puts them back."""

from __future__ import annotations

import json
from pathlib import Path

_ROOT = Path("/proc/sys")


class Sysctls:
    """Settings by path below /proc/sys. The note keeps the first value seen, however often it is set again."""

    def __init__(self, note: Path, root: Path = _ROOT) -> None:
        self._note, self._root = note, root

    def set(self, name: str, value: str, *, restore: bool = True) -> None:
        """Sets ``name`` unless it has that value; ``restore`` False for settings that vanish with their interface."""
        file = self._root / name
        present = file.read_text().strip()
        noted = self._noted()
        if restore and name not in noted:
            noted[name] = present
            self._write(noted)
        if present != value:
            file.write_text(value)

    def restore(self) -> None:
        """Puts every noted setting back and forgets the note."""
        for name, value in self._noted().items():
            (self._root / name).write_text(value)
        self._note.unlink(missing_ok=True)

    def _write(self, noted: dict[str, str]) -> None:
        """All of the note or nothing: one that was cut short could not be read at the next start."""
        fresh = self._note.with_suffix(".new")
        fresh.write_text(json.dumps(noted))
        fresh.replace(self._note)

    def _noted(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._note.read_text()))
        except FileNotFoundError:
            return {}
