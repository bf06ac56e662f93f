"""What outlives an engine: nothing that it ever made may be forgotten."""

from __future__ import annotations

from pathlib import Path

from podkeeper.runtime.engine.directories import Directories
from podkeeper.runtime.engine.settings import EngineSettings


def test_a_moved_directory_remembers_the_groups_it_had(tmp_path: Path) -> None:
    directories = Directories(tmp_path)
    EngineSettings("/first", ("hugetlb",)).with_cgroup("/second").with_cgroup("/third").save(directories)
    found = EngineSettings.load(directories)
    assert found == EngineSettings("/third", ("hugetlb",), ("/second", "/first"))
    assert found.with_cgroup("/first").groups == ("/first", "/third", "/second")
    assert found.with_cgroup("/third") == found


def test_what_an_earlier_version_has_written_is_read(tmp_path: Path) -> None:
    directories = Directories(tmp_path)
    directories.settings.write_text('{"cgroup": "/old", "hidden": []}')
    assert EngineSettings.load(directories) == EngineSettings("/old")
