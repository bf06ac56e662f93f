"""The OCI runtime in use, and those that made what is older. It is chosen anew when it has lost what it stands on.

chosen --crun refuses, version 2 has a controller back--> chosen anew: crun once it is hidden again, else runc
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from podkeeper.runtime.engine import hidden_hierarchies
from podkeeper.runtime.engine.oci_choice import CANDIDATES, Choice, Ground, choose
from podkeeper.runtime.engine.oci_runtime import OciRuntime, OciRuntimeFailure
from podkeeper.runtime.failures import RuntimeFailure

T = TypeVar("T")
_log = logging.getLogger(__name__)


class OciRuntimes:
    """Made by ``open``. ``current`` is for what is new; what was made by another one is handled by ``named``."""

    def __init__(self, ground: Ground, candidates: Sequence[str], choice: Choice) -> None:
        self._ground, self._candidates, self._choice = ground, candidates, choice
        self._choosing = asyncio.Lock()

    @classmethod
    async def open(cls, ground: Ground, candidates: Sequence[str] = CANDIDATES) -> OciRuntimes:
        """Chooses. RuntimeFailure when no candidate works."""
        return cls(ground, candidates, await choose(ground, candidates))

    @property
    def current(self) -> OciRuntime:
        """The one for new containers."""
        return self._choice.runtime

    @property
    def reason(self) -> str:
        """Why not an earlier candidate; "" when the first one works."""
        return self._choice.reason

    def named(self, handler: str) -> OciRuntime:
        """The one that made an object."""
        if handler == self.current.name:
            return self.current
        path = shutil.which(handler)
        if path is None:
            raise RuntimeFailure(f"{handler} has made this container and is not installed any more: install it again")
        return OciRuntime(handler, path, self._ground.directories.oci(handler))

    async def delete(self, container_id: str, bundle: Path) -> None:
        """Kills and forgets a container in whichever runtime knows it. Succeeds when none does."""
        for handler in CANDIDATES:
            if (self._ground.directories.oci(handler) / container_id).exists():
                await self.named(handler).delete(container_id, bundle)

    async def attempt(self, handler: str, action: Callable[[OciRuntime], Awaitable[T]]) -> T:
        """Does ``action`` with the runtime ``handler``; once more with the current one if that was chosen anew."""
        runtime, before = self.named(handler), self._choice
        try:
            return await action(runtime)
        except OciRuntimeFailure as failure:
            if not await self._chosen_anew(before, runtime, failure):
                raise
        return await action(self.current)

    async def _chosen_anew(self, before: Choice, runtime: OciRuntime, failure: OciRuntimeFailure) -> bool:
        """Whether the refusal is explained by a controller that version 2 has taken back, and there is a new choice."""
        async with self._choosing:
            if self._choice is not before:
                return True  # by somebody who was refused at the same time
            exposed = hidden_hierarchies.exposed_controllers(self._ground.layout)
            if runtime.name != "crun" or not exposed:
                return False
            self._choice = await choose(self._ground, self._candidates)
            _log.warning(
                "control groups of version 2 have %s back, so crun refused (%s); going on with %s",
                ", ".join(exposed),
                failure.cause,
                self.current.name,
            )
            return True
