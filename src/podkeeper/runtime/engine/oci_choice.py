"""Which OCI runtime works on this machine: the first one that really runs a container, the faster crun before runc."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podkeeper.foundation.cgroups import Cgroups, Layout
from podkeeper.runtime.cri import RuntimeFailure, SandboxConfig
from podkeeper.runtime.engine import hidden_hierarchies
from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.oci_runtime import OciRuntime
from podkeeper.runtime.engine.records import new_id
from podkeeper.runtime.engine.spec import bundle as bundles

CANDIDATES = ("crun", "runc")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """The runtime to use, why not an earlier candidate, and which controllers were hidden for its sake."""

    runtime: OciRuntime
    reason: str
    hidden: tuple[str, ...] = ()


class OciChooser:
    """Tries the candidates with a tiny container each."""

    def __init__(self, directories: Directories, layout: Layout, cgroups: Cgroups, group: str) -> None:
        self._directories, self._layout, self._cgroups, self._group = directories, layout, cgroups, group

    async def choose(self, candidates: Sequence[str] = CANDIDATES) -> Choice:
        """The first candidate that works. RuntimeFailure that tells what is wrong with each."""
        faults = []
        for name in candidates:
            path = shutil.which(name)
            if path is None:
                faults.append(f"{name}: not installed")
                continue
            hidden, fault = await self._try(OciRuntime(name, path, self._directories.oci(name)))
            if not fault:
                choice = Choice(OciRuntime(name, path, self._directories.oci(name)), "; ".join(faults), hidden)
                _log.info("OCI runtime %s%s", path, f" ({choice.reason})" if choice.reason else "")
                return choice
            faults.append(f"{name}: {fault}")
        raise RuntimeFailure(f"no OCI runtime works: {'; '.join(faults)}. Install crun or runc (apt-get install crun)")

    async def _try(self, runtime: OciRuntime) -> tuple[tuple[str, ...], str]:
        """The controllers hidden for it, and its fault, "" when it works."""
        hidden: list[str] = []
        try:
            if runtime.name == "crun":
                for controller in hidden_hierarchies.stray_controllers(self._layout):
                    hidden_hierarchies.hide(controller, self._group, self._scratch)
                    hidden.append(controller)
            await self._probe(runtime)
        except (OSError, RuntimeFailure) as error:
            for controller in hidden:
                await hidden_hierarchies.release(controller, self._group, self._scratch)
            return (), str(error)
        return tuple(hidden), ""

    @property
    def _scratch(self) -> Path:
        return self._directories.root / "hierarchy"

    async def _probe(self, runtime: OciRuntime) -> None:
        """Runs and deletes an infra container with every namespace."""
        began, probe_id = time.monotonic(), f"probe-{new_id()[:12]}"
        bundle, cgroup = self._directories.sandbox(probe_id), f"{self._group}/{probe_id}"
        bundle.mkdir(mode=0o700)
        config = SandboxConfig(name="probe", namespace="", uid=probe_id, hostname="probe")
        spec = bundles.of_sandbox(config, self._directories.pause, cgroup)
        (bundle / "config.json").write_text(json.dumps(spec))
        runtime.state.mkdir(parents=True, exist_ok=True)
        try:
            await runtime.run_detached(probe_id, bundle)
        finally:
            await runtime.delete(probe_id, bundle)
            await self._cgroups.remove(cgroup)
            shutil.rmtree(bundle)
        _log.debug("%s ran a probe in %.0f ms", runtime.name, (time.monotonic() - began) * 1000)
