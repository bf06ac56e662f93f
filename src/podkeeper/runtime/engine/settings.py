"""engine.json: what outlives an engine, so that a sweep finds everything that it ever made."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from podkeeper.runtime.engine.directories import Directories, write_atomically


class EngineSettings(Struct, frozen=True):
    """The engine's control group, the controllers hidden for crun's sake, and groups of old.

    The directory may have been moved, or filled by an earlier version: ``former`` are the groups it had then.
    """

    cgroup: str
    hidden: tuple[str, ...] = ()
    former: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that may hold something of this engine."""
        return (self.cgroup, *self.former)

    def with_cgroup(self, cgroup: str) -> EngineSettings:
        """The same for an engine that is opened with ``cgroup``."""
        return replace(self, cgroup=cgroup, former=tuple(each for each in self.groups if each != cgroup))

    def with_hidden(self, controllers: Iterable[str]) -> EngineSettings:
        """The same with more controllers hidden."""
        return replace(self, hidden=tuple(sorted({*self.hidden, *controllers})))

    def save(self, directories: Directories) -> None:
        """Writes engine.json."""
        write_atomically(directories.settings, msgspec.json.encode(self))

    @classmethod
    def load(cls, directories: Directories) -> EngineSettings | None:
        """Reads engine.json; None when there is none."""
        try:
            return msgspec.json.decode(directories.settings.read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
