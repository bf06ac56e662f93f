"""The contract of runtime.podnetwork.PodNetwork, on the real kernel, each test in a network namespace of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from podkeeper.network.bridge import BridgeConfig, BridgeNetwork, host_interface, remove_traces
from podkeeper.network.namespaces import enter_netns
from podkeeper.network.rtnetlink import Netlink
from podkeeper.runtime.podnetwork import PodNetworkError, PodNetworkRequest, PortMapping

pytestmark = pytest.mark.usefixtures("own_netns")


class Pod:
    """A process that holds a network namespace, as an infra container does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"], stdout=-1)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def request(self, *ports: PortMapping) -> PodNetworkRequest:
        netns = f"/proc/{self.process.pid}/ns/net"
        return PodNetworkRequest(
            f"sandbox-{self.name}", "default", self.name, f"uid-{self.name}", netns, port_mappings=ports
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def serve_once(self, port: int, answer: bytes) -> threading.Thread:
        """Listens inside the pod and answers one connection with ``answer`` and the caller's address."""
        listening = threading.Event()

        def work() -> None:
            descriptor = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
            enter_netns(descriptor)
            os.close(descriptor)
            with socket.create_server(("0.0.0.0", port)) as server:
                server.settimeout(10)
                listening.set()
                connection, peer = server.accept()
                with connection:
                    connection.sendall(answer + b" " + peer[0].encode())

        thread = threading.Thread(target=work)
        thread.start()
        assert listening.wait(10)
        return thread

    def connect(self, address: str, port: int) -> bytes:
        """Connects from inside the pod."""
        code = (
            "import socket,sys\n"
            f"s=socket.create_connection(({address!r},{port}),5)\n"
            "sys.stdout.buffer.write(s.recv(100))"
        )
        inside = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "python3", "-c", code]
        return subprocess.run(inside, capture_output=True, check=True).stdout


@pytest.fixture
def pods() -> Iterator[list[Pod]]:
    made = [Pod("a"), Pod("b")]
    yield made
    for pod in made:
        pod.kill()


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[BridgeNetwork]:
    bridge = await BridgeNetwork.open(BridgeConfig(tmp_path, IPv4Network("10.77.0.0/29")))
    yield bridge
    bridge.close()
    remove_traces(tmp_path)


async def test_two_pods_have_different_addresses_and_reach_each_other(network: BridgeNetwork, pods: list[Pod]) -> None:
    first, second = [await network.add(pod.request()) for pod in pods]
    assert first.ips != second.ips
    server = pods[1].serve_once(8080, b"hello")
    assert pods[0].connect(second.ips[0], 8080) == f"hello {first.ips[0]}".encode()
    server.join()


async def test_adding_again_answers_what_is_there(network: BridgeNetwork, pods: list[Pod]) -> None:
    request = pods[0].request()
    first = await network.add(request)
    assert await network.add(request) == first
    assert await network.check(request) == first


async def test_check_misses_what_is_not_connected(network: BridgeNetwork, pods: list[Pod]) -> None:
    request = pods[0].request()
    assert await network.check(request) is None
    await network.add(request)
    with Netlink() as netlink:
        assert netlink.delete_link(host_interface(request.sandbox_id))
    assert await network.check(request) is None
    assert (await network.add(request)).ips


async def test_delete_frees_everything_and_may_be_repeated(
    network: BridgeNetwork, pods: list[Pod], tmp_path: Path
) -> None:
    request = pods[0].request(PortMapping(80, 8080))
    await network.add(request)
    pods[0].process.kill()
    pods[0].process.wait()
    await network.delete(request)
    await network.delete(request)
    with Netlink() as netlink:
        assert netlink.link(host_interface(request.sandbox_id)) is None
    assert not list((tmp_path / "addresses").iterdir())
    assert not list((tmp_path / "hostports").iterdir())


async def test_an_exhausted_range_is_an_error_that_leaves_nothing(
    network: BridgeNetwork, pods: list[Pod], tmp_path: Path
) -> None:
    more = [Pod(f"more{number}") for number in range(4)]
    try:
        requests = [pod.request() for pod in (*pods, *more)]
        for number, request in enumerate(requests[:5]):
            await network.add(request)
            assert len(list((tmp_path / "addresses").iterdir())) == number + 1
        with pytest.raises(PodNetworkError, match="no free address in pod range"):
            await network.add(requests[5])
        await network.delete(requests[2])
        assert (await network.add(requests[5])).ips
    finally:
        for pod in more:
            pod.kill()


async def test_an_add_that_fails_leaves_nothing(network: BridgeNetwork, pods: list[Pod], tmp_path: Path) -> None:
    gone = PodNetworkRequest("lost", "default", "lost", "u", "/proc/1/ns/no-such")
    with pytest.raises(PodNetworkError, match="default/lost"):
        await network.add(gone)
    assert not list((tmp_path / "addresses").iterdir())


async def test_a_host_port_leads_to_the_pod_from_the_node_and_from_itself(
    network: BridgeNetwork, pods: list[Pod]
) -> None:
    status = await network.add(pods[0].request(PortMapping(80, 8080)))
    gateway = "10.77.0.1"
    for address in (gateway, "127.0.0.1"):
        with Netlink() as netlink:
            netlink.set_up(1)
        server = pods[0].serve_once(80, b"web")
        with socket.create_connection((address, 8080), 5) as connection:
            assert connection.recv(100).startswith(b"web")
        server.join()
    server = pods[0].serve_once(80, b"web")
    assert pods[0].connect(gateway, 8080).startswith(b"web")
    server.join()
    assert status.ips


async def test_a_host_port_on_one_address_only(network: BridgeNetwork, pods: list[Pod]) -> None:
    await network.add(pods[0].request(PortMapping(80, 8080, host_ip="10.77.0.1")))
    with Netlink() as netlink:
        netlink.set_up(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 8080), 5)
    server = pods[0].serve_once(80, b"web")
    with socket.create_connection(("10.77.0.1", 8080), 5) as connection:
        assert connection.recv(100).startswith(b"web")
    server.join()


async def test_a_host_port_is_one_pods_until_that_pod_is_gone(network: BridgeNetwork, pods: list[Pod]) -> None:
    first, second = (pod.request(PortMapping(80, 8080)) for pod in pods)
    address = (await network.add(first)).ips[0]
    with pytest.raises(PodNetworkError, match=f"hostPort 8080/TCP still belongs to the pod with address {address}"):
        await network.add(second)
    await network.delete(first)
    assert (await network.add(second)).ips


async def test_rules_that_somebody_flushed_do_not_keep_a_pod_from_going(
    network: BridgeNetwork, pods: list[Pod], tmp_path: Path
) -> None:
    first, second = pods[0].request(PortMapping(80, 8080)), pods[1].request(PortMapping(80, 9090))
    await network.add(first)
    staying = await network.add(second)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    await network.delete(first)
    assert len(list((tmp_path / "hostports").iterdir())) == 1
    server = pods[1].serve_once(80, b"back")
    with socket.create_connection(("10.77.0.1", 9090), 5) as connection:
        assert connection.recv(100).startswith(b"back")
    server.join()
    assert await network.check(second) == staying


async def test_allocations_and_rules_outlive_the_process(pods: list[Pod], tmp_path: Path) -> None:
    config = BridgeConfig(tmp_path, IPv4Network("10.77.0.0/29"))
    request = pods[0].request(PortMapping(80, 8080))
    first = await BridgeNetwork.open(config)
    status = await first.add(request)
    first.close()
    second = await BridgeNetwork.open(config)
    try:
        assert await second.check(request) == status
        assert (await second.add(pods[1].request())).ips != status.ips
        server = pods[0].serve_once(80, b"still")
        with socket.create_connection(("10.77.0.1", 8080), 5) as connection:
            assert connection.recv(100).startswith(b"still")
        server.join()
    finally:
        second.close()
        remove_traces(tmp_path)


async def test_remove_traces_leaves_no_link_no_table_and_the_old_sysctls(pods: list[Pod], tmp_path: Path) -> None:
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    before = forward.read_text()
    network = await BridgeNetwork.open(BridgeConfig(tmp_path, IPv4Network("10.77.0.0/29")))
    await network.add(pods[0].request(PortMapping(80, 8080, "UDP")))
    assert forward.read_text().strip() == "1"
    network.close()
    remove_traces(tmp_path)
    remove_traces(tmp_path)
    with Netlink() as netlink:
        assert {link.name for link in netlink.links()} == {"lo"}
    tables = subprocess.run(["nft", "-j", "list", "tables"], capture_output=True, check=True).stdout
    assert not [each for each in json.loads(tables)["nftables"] if "table" in each]
    assert forward.read_text() == before


async def test_traffic_to_the_outside_carries_the_nodes_address(network: BridgeNetwork, pods: list[Pod]) -> None:
    status = await network.add(pods[0].request())
    outside = Pod("outside")
    try:
        join = f"ip link add up0 type veth peer name eth0 netns {outside.process.pid}"
        inside = f"nsenter --net=/proc/{outside.process.pid}/ns/net ip"
        script = [
            join,
            "ip addr add 198.51.100.1/24 dev up0",
            "ip link set up0 up",
            f"{inside} addr add 198.51.100.2/24 dev eth0",
            f"{inside} link set eth0 up",
        ]
        for line in script:
            subprocess.run(line.split(), check=True)
        server = outside.serve_once(9000, b"seen")
        assert pods[0].connect("198.51.100.2", 9000) == b"seen 198.51.100.1"
        server.join()
        assert status.ips[0] != "198.51.100.1"
    finally:
        outside.kill()
