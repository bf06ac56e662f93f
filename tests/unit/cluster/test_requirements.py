"""What is checked before a cluster starts: addresses and ports of this machine."""

from __future__ import annotations

import socket

import pytest

from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.requirements import check_addresses
from podkeeper.cluster.settings import Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_free_ports_of_an_own_address_are_fine() -> None:
    check_addresses(Settings("node", "127.0.0.1", free_port(), free_port()))


def test_another_machines_address_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"^192\.0\.2\.1 is not an address of this machine$"):
        check_addresses(Settings("node", "192.0.2.1", free_port(), free_port()))


@pytest.mark.parametrize("field", ["port", "kubelet_port"])
def test_a_taken_port_is_named(field: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = int(other.getsockname()[1])
        chosen = {"port": free_port(), "kubelet_port": free_port(), field: taken}
        with pytest.raises(ClusterError, match=f"^port {taken} cannot be had: Address already in use$"):
            check_addresses(Settings("node", "127.0.0.1", **chosen))
