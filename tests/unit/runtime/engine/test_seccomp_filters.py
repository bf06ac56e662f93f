"""The cache of compiled seccomp profiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from podkeeper.runtime.engine.filters import ANNOTATION, FilterCache
from podkeeper.runtime.engine.oci_runtime import OciRuntime

SPEC: dict[str, Any] = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}


@pytest.fixture
def crun(tmp_path: Path) -> OciRuntime:
    (tmp_path / "filters").mkdir()
    (tmp_path / "state" / "c1").mkdir(parents=True)
    (tmp_path / "state" / "c1" / "seccomp.bpf").write_bytes(b"program")
    return OciRuntime("crun", "/usr/bin/crun", tmp_path / "state")


def written(directory: Path, spec: dict[str, Any]) -> Path:
    (directory / "config.json").write_text(json.dumps(spec))
    return directory


def test_a_profile_is_taken_from_the_first_container_to_all_later_ones(tmp_path: Path, crun: OciRuntime) -> None:
    cache = FilterCache(tmp_path / "filters")
    assert cache.apply(SPEC, crun) == SPEC
    cache.harvest(written(tmp_path, SPEC), crun, "c1")
    for each in (cache, FilterCache(tmp_path / "filters")):
        assert each.apply(SPEC, crun) == SPEC | {"annotations": {ANNOTATION: "cHJvZ3JhbQ=="}}
    other = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_LOG"}}}
    assert cache.apply(other, crun) == other


def test_runc_and_unconfined_containers_are_left_alone(tmp_path: Path, crun: OciRuntime) -> None:
    cache = FilterCache(tmp_path / "filters")
    cache.harvest(written(tmp_path, SPEC), crun, "c1")
    runc = OciRuntime("runc", "/usr/sbin/runc", crun.state)
    assert cache.apply(SPEC, runc) == SPEC
    assert cache.apply({"linux": {}}, crun) == {"linux": {}}


@pytest.mark.parametrize("missing", ["program", "content"])
def test_a_runtime_that_leaves_no_program_costs_nothing(tmp_path: Path, crun: OciRuntime, missing: str) -> None:
    program = crun.state / "c1" / "seccomp.bpf"
    if missing == "program":
        program.unlink()
    else:
        program.write_bytes(b"")
    cache = FilterCache(tmp_path / "filters")
    cache.harvest(written(tmp_path, SPEC), crun, "c1")
    assert list((tmp_path / "filters").iterdir()) == []
