"""Settings: chosen once, kept, and refused when they would make another cluster of this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.settings import Settings, Wishes, decide, load, save

PRESENT = Settings(node_name="one", node_ip="192.0.2.7", port=6443)


def test_the_first_start_takes_wishes_and_defaults() -> None:
    chosen = decide(None, Wishes(node_name="alpha", node_ip="192.0.2.9"))
    assert (chosen.node_name, chosen.node_ip, chosen.port) == ("alpha", "192.0.2.9", 6443)


def test_without_wishes_a_cluster_stays_as_it_is() -> None:
    assert decide(PRESENT, Wishes()) == PRESENT


def test_address_and_port_may_change() -> None:
    chosen = decide(PRESENT, Wishes(node_ip="192.0.2.8", port=7443))
    assert (chosen.node_ip, chosen.port) == ("192.0.2.8", 7443)


def test_a_node_is_never_renamed() -> None:
    with pytest.raises(ClusterError, match="named one, not two"):
        decide(PRESENT, Wishes(node_name="two"))


@pytest.mark.parametrize(
    "wishes",
    [Wishes(node_name="Not A Name", node_ip="192.0.2.1"), Wishes("n", "no-address"), Wishes("n", "192.0.2.1", 70000)],
)
def test_nonsense_is_refused_with_advice(wishes: Wishes) -> None:
    with pytest.raises(ClusterError) as caught:
        decide(None, wishes)
    assert caught.value.advice


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    assert load(path) is None
    save(path, PRESENT)
    assert load(path) == PRESENT


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    path.write_text('{"nodeName":')
    with pytest.raises(ClusterError, match=str(path)):
        load(path)


def test_the_service_address_of_the_api_server_is_the_first_of_the_range() -> None:
    assert PRESENT.kubernetes_service_ip == "10.96.0.1"


def test_api_versions_are_switched_on_for_good(tmp_path: Path) -> None:
    save(tmp_path / "settings", decide(PRESENT, Wishes(runtime_config="api/beta=true")))
    present = load(tmp_path / "settings")
    assert present is not None
    assert decide(present, Wishes()).runtime_config == "api/beta=true"
    with pytest.raises(ClusterError, match="unknown api 'api/gamma'"):
        decide(present, Wishes(runtime_config="api/gamma=true"))
