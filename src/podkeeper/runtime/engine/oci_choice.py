"""Which OCI runtime works on this machine: the first one that really runs a container, the faster crun before runc."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from podkeeper.foundation.cgroups import Cgroups, Layout, detect, open_cgroups
from podkeeper.runtime.cri import SandboxConfig
from podkeeper.runtime.engine import hidden_hierarchies
from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.oci_runtime import OciRuntime
from podkeeper.runtime.engine.records import new_id
from podkeeper.runtime.engine.settings import EngineSettings
from podkeeper.runtime.engine.spec import bundle as bundles
from podkeeper.runtime.failures import RuntimeFailure

CANDIDATES = ("crun", "runc")
_log = logging.getLogger(__name__)


class Ground(Struct, frozen=True):
    """What containers stand on: an engine's directories, its control group, and the machine's groups."""

    directories: Directories
    cgroup: str
    layout: Layout
    cgroups: Cgroups

    @classmethod
    def prepare(cls, directories: Directories, cgroup: str) -> Ground:
        """Makes the directories' settings and the group. CgroupError and OSError tell what this machine lacks."""
        layout = detect()
        found = cls(directories, cgroup, layout, open_cgroups(layout))
        settings = EngineSettings.load(directories) or EngineSettings(cgroup)
        settings.with_cgroup(cgroup).save(directories)
        found.cgroups.create(cgroup)
        return found

    @property
    def scratch(self) -> Path:
        """Where a hierarchy is mounted for a moment."""
        return self.directories.root / "hierarchy"


class Choice(Struct, frozen=True):
    """The runtime to use, and why not an earlier candidate."""

    runtime: OciRuntime
    reason: str = ""


async def choose(ground: Ground, candidates: Sequence[str] = CANDIDATES) -> Choice:
    """The first candidate that runs a tiny container. RuntimeFailure that tells what is wrong with each."""
    faults = []
    for name in candidates:
        path = shutil.which(name)
        if path is None:
            faults.append(f"{name}: not installed")
            continue
        runtime = OciRuntime(name, path, ground.directories.oci(name))
        fault = await _try(ground, runtime)
        if not fault:
            choice = Choice(runtime, "; ".join(faults))
            _log.info("OCI runtime %s%s", path, f" ({choice.reason})" if choice.reason else "")
            return choice
        faults.append(f"{name}: {fault}")
    raise RuntimeFailure(f"no OCI runtime works: {'; '.join(faults)}. {_advice(candidates)}")


def _advice(candidates: Sequence[str]) -> str:
    absent = [name for name in candidates if shutil.which(name) is None]
    if absent:
        return f"Install one: apt-get install {absent[0]}"
    return f"Install newer ones, or the other of {' and '.join(CANDIDATES)}"


async def _try(ground: Ground, runtime: OciRuntime) -> str:
    """What is wrong with a runtime, "" when it works; for crun's sake controllers are hidden."""
    stray = hidden_hierarchies.stray_controllers(ground.layout) if runtime.name == "crun" else []
    _remember(ground, stray)
    try:
        for controller in stray:
            hidden_hierarchies.hide(controller, ground.cgroup, ground.scratch)
        await _probe(ground, runtime)
    except (OSError, RuntimeFailure) as error:
        for controller in stray:
            await hidden_hierarchies.release(controller, ground.cgroup, ground.scratch)
        return str(error)
    return ""


def _remember(ground: Ground, controllers: Sequence[str]) -> None:
    """Writes down what is about to be hidden, before it is: whoever is killed now leaves nothing unknown."""
    settings = EngineSettings.load(ground.directories) or EngineSettings(ground.cgroup)
    settings.with_hidden(controllers).save(ground.directories)


async def _probe(ground: Ground, runtime: OciRuntime) -> None:
    """Runs and deletes an infra container with every namespace."""
    began, probe_id = time.monotonic(), f"probe-{new_id()[:12]}"
    bundle, cgroup = ground.directories.sandbox(probe_id), f"{ground.cgroup}/{probe_id}"
    bundle.mkdir(mode=0o700)
    config = SandboxConfig(name="probe", namespace="", uid=probe_id, hostname="probe")
    spec = bundles.of_sandbox(config, ground.directories.pause, cgroup)
    (bundle / "config.json").write_text(json.dumps(spec))
    runtime.state.mkdir(parents=True, exist_ok=True)
    try:
        await runtime.run_detached(probe_id, bundle)
    finally:
        await runtime.delete(probe_id, bundle)
        await ground.cgroups.remove(cgroup)
        shutil.rmtree(bundle)
    _log.debug("%s ran a probe in %.0f ms", runtime.name, (time.monotonic() - began) * 1000)
