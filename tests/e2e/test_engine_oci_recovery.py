"""crun refuses to work while control groups of version 2 have a controller beside version 1: the engine goes on.

A mount table of the script's own shows such a controller to crun, and to nobody else on the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from podkeeper.foundation.cgroups import CgroupMode, detect

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
    pytest.mark.skipif(shutil.which("crun") is None or shutil.which("runc") is None, reason="needs crun and runc"),
    pytest.mark.skipif(detect().mode is not CgroupMode.HYBRID, reason="only hybrid machines have both versions"),
]

SCRIPT = """
import asyncio, json, logging, sys
from pathlib import Path
from podkeeper.foundation import mounts
from podkeeper.foundation.cgroups import detect
from podkeeper.runtime.cri import ContainerConfig, SandboxConfig
from podkeeper.runtime.engine import hidden_hierarchies
from podkeeper.testing.scratch_engine import scratch_engine

logging.basicConfig(level=logging.WARNING)
directory, case = Path(sys.argv[1]), sys.argv[2]
shown, hide = str(detect().unified / "cgroup.controllers"), hidden_hierarchies.hide

def expose():
    (directory / "controllers").write_text("hugetlb\\n")
    mounts.bind(str(directory / "controllers"), shown)

def hide_again(*arguments):
    if mounts.is_mount_point(shown):
        mounts.unmount(shown)
    hide(*arguments)

async def main():
    async with scratch_engine(directory) as scratch:
        engine = scratch.engine
        found = [(await engine.info()).handler]
        sandbox = await engine.run_sandbox(SandboxConfig("before", "default", "uid-1"))
        waiting = await engine.create_container(sandbox, ContainerConfig("a", scratch.image, command=["sleep", "100"]))
        expose()
        if case == "hidden again":
            hidden_hierarchies.hide = hide_again
        await engine.start_container(waiting)
        found.append((await engine.info()).handler)
        if case == "hidden again":
            expose()
        await asyncio.gather(*(engine.run_sandbox(SandboxConfig(f"{i}", "default", f"uid-{i}")) for i in (2, 3, 4)))
        code = (await engine.exec_sync(waiting, ["true"])).exit_code
        found.append((await engine.info()).handler)
        await engine.reset()
    print(json.dumps([*found, code]))

asyncio.run(main())
"""


@pytest.mark.parametrize(("case", "runtime", "warnings"), [("hidden again", "crun", 2), ("stays", "runc", 1)])
def test_a_controller_that_version_2_takes_back_stops_nobody(
    tmp_path: Path, case: str, runtime: str, warnings: int
) -> None:
    words = ["unshare", "--mount", sys.executable, "-c", SCRIPT, str(tmp_path), case]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["crun", runtime, runtime, 0]
    assert done.stderr.count("have hugetlb back, so crun refused") == warnings, done.stderr
    assert f"going on with {runtime}" in done.stderr
