"""The native pod network: one bridge per node, a veth per sandbox, addresses from the node's range.

    pod netns: eth0 (10.244.0.7/24) --veth-- bridge podkeeper0 (10.244.0.1/24) -- node -- nftables -- outside

What a sandbox holds is on disk (addresses, hostPorts) and in the kernel (veth, rules); both outlive the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from podkeeper.network import pod_rules
from podkeeper.network.addresses import AddressPool, RangeExhausted
from podkeeper.network.namespaces import run_in_netns, run_in_thread
from podkeeper.network.nftables import Nftables, NftablesError, open_nftables
from podkeeper.network.rtnetlink import Netlink, NetlinkError
from podkeeper.network.sysctls import Sysctls
from podkeeper.runtime.podnetwork import PodNetworkError, PodNetworkRequest, PodNetworkStatus, PortMapping

DEFAULT_BRIDGE = "podkeeper0"


class BridgeConfig(Struct, frozen=True):
    """``directory`` keeps allocations. Several nodes in one network namespace need bridges of different names."""

    directory: Path
    pod_cidr: IPv4Network
    bridge: str = DEFAULT_BRIDGE
    mtu: int = 0


def host_interface(sandbox_id: str) -> str:
    """The name of a sandbox's veth on the node: stable, and short enough for the kernel."""
    return "pk" + hashlib.sha256(sandbox_id.encode()).hexdigest()[:11]


def mac_address(address: IPv4Address) -> bytes:
    """A locally administered MAC that follows from the pod's address, so that neighbours never hold a stale one."""
    return b"\x0a\x58" + address.packed


class BridgeNetwork:
    """PodNetwork on a Linux bridge. ``open`` prepares the node; ``remove_traces`` undoes it for good."""

    def __init__(self, config: BridgeConfig, nftables: Nftables, netlink: Netlink) -> None:
        self._config, self._nftables, self._netlink = config, nftables, netlink
        self._pool = AddressPool(config.pod_cidr, config.directory / "addresses")
        self._ports = config.directory / "hostports"
        self._ports.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._master = 0
        self._host = asyncio.Lock()  # one request at a time on the node's netlink socket and rules

    @classmethod
    async def open(cls, config: BridgeConfig) -> BridgeNetwork:
        """Makes bridge, forwarding and rules as they should be, keeping what is right already."""
        network = cls(config, open_nftables(), Netlink())
        await run_in_thread(network._prepare)
        return network

    def close(self) -> None:
        """Lets go of the kernel's sockets; everything set up stays."""
        self._netlink.close()

    async def add(self, request: PodNetworkRequest) -> PodNetworkStatus:
        """See PodNetwork."""
        present = await self.check(request)
        if present is not None:
            return present
        try:
            address = self._pool.allocate(request.sandbox_id)
        except RangeExhausted as error:
            raise PodNetworkError(f"connect pod {request.namespace}/{request.name}: {error}") from error
        try:
            await self._connect(request, address)
        except (OSError, NftablesError, ValueError) as error:
            await self.delete(request)
            raise PodNetworkError(f"connect pod {request.namespace}/{request.name}: {error}") from error
        except asyncio.CancelledError:
            await self.delete(request)
            raise
        return PodNetworkStatus((str(address),), request.interface)

    async def check(self, request: PodNetworkRequest) -> PodNetworkStatus | None:
        """See PodNetwork."""
        address = self._pool.address_of(request.sandbox_id)
        if address is None or self._load_ports(request.sandbox_id) != tuple(request.port_mappings):
            return None
        async with self._host:
            if self._netlink.link(host_interface(request.sandbox_id)) is None:
                return None
        with contextlib.suppress(OSError), _netns(request.netns) as descriptor:
            if await run_in_netns(descriptor, lambda: _has_address(request.interface, address)):
                return PodNetworkStatus((str(address),), request.interface)
        return None

    async def delete(self, request: PodNetworkRequest) -> None:
        """See PodNetwork."""
        address = self._pool.address_of(request.sandbox_id)
        async with self._host:
            try:
                await run_in_thread(lambda: self._netlink.delete_link(host_interface(request.sandbox_id)))
                self._forget_ports(request.sandbox_id, address)
            except (OSError, NftablesError) as error:
                raise PodNetworkError(f"disconnect pod {request.namespace}/{request.name}: {error}") from error
        self._pool.free(request.sandbox_id)

    def _prepare(self) -> None:
        config = self._config
        try:
            self._netlink.create_bridge(config.bridge)
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
        link = self._netlink.link(config.bridge)
        if link is None:
            raise PodNetworkError(f"bridge {config.bridge} vanished while it was set up")
        self._master = link.index
        self._netlink.add_address(link.index, self._pool.gateway)
        self._netlink.set_up(link.index)
        sysctls = Sysctls(config.directory / "sysctls.json")
        sysctls.set("net/ipv4/ip_forward", "1")
        sysctls.set(f"net/ipv4/conf/{config.bridge}/route_localnet", "1", restore=False)
        self._write_table()

    def _write_table(self, without: str = "") -> None:
        """All rules anew, from what sandboxes hold; those of the sandbox ``without`` are left out."""
        mappings = [(str(address), mapping) for address, mapping in self._host_ports(without)]
        self._nftables.apply(pod_rules.table_script(self._config.pod_cidr, self._config.bridge, mappings))

    def _host_ports(self, without: str) -> Iterator[tuple[IPv4Address, PortMapping]]:
        for address, holder in self._pool.holders().items():
            if holder != without:
                yield from ((address, mapping) for mapping in self._load_ports(holder))

    async def _connect(self, request: PodNetworkRequest, address: IPv4Address) -> None:
        name = host_interface(request.sandbox_id)
        with _netns(request.netns) as descriptor:
            async with self._host:
                await run_in_thread(lambda: self._plug(name, request.interface, descriptor, address))
                self._remember_ports(request, address)
            await run_in_netns(descriptor, lambda: self._configure(request.interface, address))

    def _plug(self, name: str, interface: str, descriptor: int, address: IPv4Address) -> None:
        self._netlink.delete_link(name)
        self._netlink.create_veth(
            name, interface, descriptor, master=self._master, mac=mac_address(address), mtu=self._config.mtu
        )
        link = self._netlink.link(name)
        if link is None:
            raise OSError(errno.ENODEV, f"veth {name} vanished while it was set up")
        self._netlink.set_hairpin(link.index)

    def _configure(self, interface: str, address: IPv4Address) -> None:
        gateway = self._pool.gateway
        with Netlink() as inner:
            link = inner.link(interface)
            if link is None:
                raise OSError(errno.ENODEV, f"interface {interface} is missing in the pod's namespace")
            inner.set_up(1)
            inner.add_address(link.index, type(gateway)((address, gateway.network.prefixlen)))
            inner.set_up(link.index)
            inner.add_default_route(link.index, gateway.ip)

    def _remember_ports(self, request: PodNetworkRequest, address: IPv4Address) -> None:
        if not request.port_mappings:
            return
        self._refuse_taken(request)
        self._nftables.apply(pod_rules.add_script(str(address), request.port_mappings))
        text = json.dumps([asdict(mapping) for mapping in request.port_mappings])
        (self._ports / request.sandbox_id).write_text(text)

    def _refuse_taken(self, request: PodNetworkRequest) -> None:
        """A pod may be told to come before the one that had its port is gone; it is tried again until then."""
        taken = {pod_rules.key(mapping): address for address, mapping in self._host_ports(request.sandbox_id)}
        for mapping in request.port_mappings:
            holder = taken.get(pod_rules.key(mapping))
            if holder is not None:
                port = f"{mapping.host_port}/{mapping.protocol}"
                raise OSError(errno.EADDRINUSE, f"hostPort {port} still belongs to the pod with address {holder}")

    def _forget_ports(self, sandbox_id: str, address: IPv4Address | None) -> None:
        mappings = self._load_ports(sandbox_id)
        if mappings and address is not None:
            try:
                self._nftables.apply(pod_rules.remove_script(str(address), mappings))
            except NftablesError:  # somebody flushed the node's rules: ours are put back, without this pod's
                self._write_table(without=sandbox_id)
        (self._ports / sandbox_id).unlink(missing_ok=True)

    def _load_ports(self, sandbox_id: str) -> Sequence[PortMapping]:
        try:
            text = (self._ports / sandbox_id).read_text()
        except FileNotFoundError:
            return ()
        return tuple(PortMapping(**each) for each in json.loads(text)) if text else ()


@contextlib.contextmanager
def _netns(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _has_address(interface: str, address: IPv4Address) -> bool:
    with Netlink() as inner:
        link = inner.link(interface)
        return link is not None and link.up and any(each.ip == address for each in inner.addresses(link.index))


def remove_traces(directory: Path, bridge: str = DEFAULT_BRIDGE) -> None:
    """Removes bridge, veths, rules and sysctl changes of a node whose processes are gone. Safe to call twice."""
    with Netlink() as netlink:
        master = netlink.link(bridge)
        if master is not None:
            for link in netlink.links():
                if link.master == master.index:
                    netlink.delete_link(link.name)
            netlink.delete_link(bridge)
    if (directory / "sysctls.json").exists():
        open_nftables().apply(pod_rules.remove_table_script())
    Sysctls(directory / "sysctls.json").restore()
