"""Taking up what an earlier engine left in the directory: running things are adopted, half-made ones removed."""

from __future__ import annotations

import logging
from pathlib import Path

from podkeeper.runtime.engine.config import Images
from podkeeper.runtime.engine.containers import Containers
from podkeeper.runtime.engine.directories import erase_directory
from podkeeper.runtime.engine.records import ContainerRecord, SandboxRecord, load_all
from podkeeper.runtime.engine.sandboxes import Sandboxes
from podkeeper.runtime.engine.tools import Tools

_log = logging.getLogger(__name__)


async def recover(tools: Tools, images: Images, sandboxes: Sandboxes, containers: Containers) -> None:
    """Fills ``sandboxes`` and ``containers`` from the directory."""
    for directory, sandbox in load_all(tools.directories.sandboxes, SandboxRecord):
        if sandbox is None:
            await _forget(tools, directory)
        else:
            await sandboxes.adopt(sandbox)
    for directory, container in load_all(tools.directories.containers, ContainerRecord):
        known = sandboxes.find(container.sandbox_id) if container else None
        if container is None or known is None:
            await images.snapshots.remove(directory.name)
            await _forget(tools, directory)
        else:
            await containers.adopt(container, known.record.config.uid)


async def _forget(tools: Tools, directory: Path) -> None:
    """Removes something whose record was not written yet; only its name is known."""
    _log.info("removing %s, which was left half made", directory)
    await tools.runtimes.delete(directory.name, directory)
    erase_directory(directory)
