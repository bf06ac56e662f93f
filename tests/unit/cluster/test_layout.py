"""Where a cluster keeps what, and what its control group is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout


def test_clusters_with_one_node_name_have_control_groups_of_their_own(tmp_path: Path) -> None:
    one, two = Layout.at(tmp_path / "one"), Layout.at(tmp_path / "two")
    assert one.cgroup("node") != two.cgroup("node")
    assert one.cgroup("node") == Layout.at(tmp_path / "one").cgroup("node")
    assert one.cgroup("node").startswith("/podkeeper-node-")


def test_a_data_directory_is_the_same_one_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Layout.at(tmp_path / "link" / ".." / "link") == Layout.at(tmp_path / "real")


def test_a_directory_of_somebody_else_does_not_become_a_clusters(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ClusterError, match=r"thesis\.tex, and no cluster$"):
        Layout.at(tmp_path).create()
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_systems_root_may_become_a_clusters(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    Layout.at(tmp_path).create()
    Layout.at(tmp_path).create()
