"""The netlink codec byte by byte: what is sent for each change, and what is understood of the kernel's answers.

The expected bytes are written down as the kernel's headers lay them out (linux/netlink.h, if_link.h, if_addr.h), for
the little-endian machines that this runs on.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from ipaddress import IPv4Address, IPv4Interface
from typing import cast

import pytest

from podkeeper.network.rtnetlink import Link, Netlink, NetlinkError

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the golden bytes are little-endian")

OK = struct.pack("<i", 0)


def message(kind: int, payload: bytes, sequence: int = 1, flags: int = 0) -> bytes:
    size = 16 + len(payload)
    return struct.pack("<IHHII", size, kind, flags, sequence, 0) + payload + bytes(-size % 4)


class Channel:
    """A netlink socket whose answers are written down before."""

    def __init__(self, *answers: bytes) -> None:
        self.sent: list[bytes] = []
        self._answers = list(answers)

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        return self._answers.pop(0)


def talk(*answers: bytes) -> tuple[Netlink, Channel]:
    channel = Channel(*(answers or (message(2, OK),)))
    return Netlink(cast(socket.socket, channel)), channel


def hexed(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


def test_a_bridge_is_a_new_link_with_its_kind() -> None:
    netlink, channel = talk()
    netlink.create_bridge("br0")
    assert channel.sent == [
        hexed(
            "38000000 1000 0506 01000000 00000000"  # 56 bytes, RTM_NEWLINK, request ack excl create, first
            "00000000 00000000 00000000 00000000"  # any family, no type, no index, no flags
            "0800 0300 62723000"  # IFLA_IFNAME br0
            "1000 1200 0b00 0100 62726964 67650000"  # IFLA_LINKINFO { IFLA_INFO_KIND bridge }
        )
    ]


def test_a_default_route_goes_by_the_gateway() -> None:
    netlink, channel = talk()
    netlink.add_default_route(7, IPv4Address("10.244.0.1"))
    assert channel.sent == [
        hexed(
            "2c000000 1800 0506 01000000 00000000"  # 44 bytes, RTM_NEWROUTE, request ack excl create
            "02 00 00 00 fe 03 00 01 00000000"  # AF_INET, no prefixes, table main, by boot, everywhere, unicast
            "0800 0400 07000000"  # RTA_OIF 7
            "0800 0500 0af40001"  # RTA_GATEWAY
        )
    ]


def test_an_address_carries_its_prefix_and_broadcast() -> None:
    netlink, channel = talk()
    netlink.add_address(3, IPv4Interface("10.244.0.7/24"))
    assert channel.sent == [
        hexed(
            "30000000 1400 0506 01000000 00000000"  # 48 bytes, RTM_NEWADDR, request ack excl create
            "02 18 00 00 03000000"  # AF_INET, /24, link 3
            "0800 0200 0af40007"  # IFA_LOCAL
            "0800 0100 0af40007"  # IFA_ADDRESS
            "0800 0400 0af400ff"  # IFA_BROADCAST
        )
    ]


def test_a_veth_is_made_with_its_peer_in_the_pods_namespace() -> None:
    netlink, channel = talk()
    netlink.create_veth("pk1", "eth0", 9, master=2, mac=bytes.fromhex("0a580af40007"), mtu=1400)
    assert channel.sent == [
        hexed(
            "88000000 1000 0506 01000000 00000000"  # 136 bytes, RTM_NEWLINK, request ack excl create
            "00000000 00000000 01000000 01000000"  # up
            "0800 0300 706b3100"  # IFLA_IFNAME pk1
            "0800 0a00 02000000"  # IFLA_MASTER 2
            "0800 0400 78050000"  # IFLA_MTU 1400
            "5000 1200"  # IFLA_LINKINFO
            "0900 0100 76657468 00000000"  # IFLA_INFO_KIND veth
            "4000 0200 3c00 0100"  # IFLA_INFO_DATA { VETH_INFO_PEER
            "00000000 00000000 00000000 00000000"
            "0900 0300 65746830 00000000"  # IFLA_IFNAME eth0
            "0800 1c00 09000000"  # IFLA_NET_NS_FD 9
            "0a00 0100 0a580af4 00070000"  # IFLA_ADDRESS
            "0800 0400 78050000"  # IFLA_MTU 1400 }
        )
    ]


def test_hairpin_is_asked_of_the_bridge_port() -> None:
    netlink, channel = talk()
    netlink.set_hairpin(5)
    assert channel.sent == [
        hexed(
            "2c000000 1300 0500 01000000 00000000"  # 44 bytes, RTM_SETLINK, request ack
            "07000000 05000000 00000000 00000000"  # AF_BRIDGE, link 5
            "0c00 0c80 0500 0400 01000000"  # IFLA_PROTINFO, nested { IFLA_BRPORT_MODE 1 }
        )
    ]


@pytest.mark.parametrize(("code", "answer"), [(0, True), (errno.ENODEV, False)])
def test_deleting_a_link_tells_whether_there_was_one(code: int, answer: bool) -> None:
    netlink, channel = talk(message(2, struct.pack("<i", -code)))
    assert netlink.delete_link("pk1") is answer
    assert channel.sent == [
        hexed("28000000 1100 0500 01000000 0000000000000000 00000000 00000000 000000000800 0300 706b3100")
    ]


def test_a_refusal_names_what_was_asked() -> None:
    netlink, _ = talk(message(2, struct.pack("<i", -errno.EPERM)))
    with pytest.raises(NetlinkError, match="bring up link 4: Operation not permitted") as caught:
        netlink.set_up(4)
    assert caught.value.errno == errno.EPERM


def test_an_address_that_is_there_already_is_fine() -> None:
    netlink, _ = talk(message(2, struct.pack("<i", -errno.EEXIST)))
    netlink.add_address(3, IPv4Interface("10.244.0.7/24"))


def test_answers_to_earlier_questions_are_skipped() -> None:
    stale = message(2, struct.pack("<i", -errno.EBUSY), sequence=0)
    netlink, _ = talk(stale + message(2, OK))
    netlink.set_up(4)


def link_body(index: int, name: bytes, *, flags: int = 1, master: int = 0) -> bytes:
    name_attribute = struct.pack("<HH", 4 + len(name) + 1, 3) + name + b"\0" + bytes(-(len(name) + 1) % 4)
    mac = hexed("0a00 0100 0a580af4 00070000")
    bridge = struct.pack("<HHI", 8, 10, master) if master else b""
    return struct.pack("<BxHiII", 0, 1, index, flags, 0) + name_attribute + mac + bridge


def test_links_are_read_from_a_list_in_several_parts() -> None:
    first = message(16, link_body(1, b"lo", flags=0), flags=2) + message(16, link_body(2, b"podkeeper0"), flags=2)
    netlink, _ = talk(first, message(16, link_body(7, b"pk1", master=2), flags=2), message(3, OK, flags=2))
    mac = bytes.fromhex("0a580af40007")
    assert netlink.links() == [
        Link(1, "lo", False, 0, mac),
        Link(2, "podkeeper0", True, 0, mac),
        Link(7, "pk1", True, 2, mac),
    ]


def test_addresses_of_other_links_are_left_out() -> None:
    def body(index: int, address: str) -> bytes:
        return struct.pack("<BBBBI", 2, 24, 0, 0, index) + struct.pack("<HH", 8, 2) + IPv4Address(address).packed

    listed = message(20, body(1, "127.0.0.1")) + message(20, body(3, "10.244.0.7"))
    netlink, _ = talk(listed, message(3, OK))
    assert netlink.addresses(3) == [IPv4Interface("10.244.0.7/24")]
