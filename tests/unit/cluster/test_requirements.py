"""What a machine must have, and what another cluster on it has taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.requirements import check_node_name


@pytest.mark.parametrize("place", ["podkeeper-one", "memory/podkeeper-one"])
def test_a_node_name_that_another_cluster_uses_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    with pytest.raises(ClusterError, match="a node named one"):
        check_node_name("one", tmp_path)
    check_node_name("two", tmp_path)
