"""Links, addresses and routes over rtnetlink: the few messages a pod network needs, each acknowledged by the kernel.

pyroute2 speaks all of rtnetlink, at about 20 ms a pod and 10 MB of imports; one pod needs ten messages, which cost
less than 2 ms here. A ``Netlink`` belongs for good to the network namespace in which it was opened. Calls are
synchronous: the kernel answers within the system call. Source of the numbers: linux/rtnetlink.h, if_link.h, if_addr.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface

from msgspec import Struct

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change mask
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags
_ATTRIBUTE = struct.Struct("=HH")

_NEWLINK, _DELLINK, _GETLINK, _SETLINK, _NEWADDR, _GETADDR, _NEWROUTE = 16, 17, 18, 19, 20, 22, 24
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_IFF_UP = 0x1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_PROTINFO, _IFLA_NET_NS_FD = (
    1,
    3,
    4,
    10,
    18,
    12,
    28,
)
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER, _IFLA_BRPORT_MODE = 1, 2, 1, 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_OIF, _RTA_GATEWAY = 4, 5
_TABLE_MAIN, _PROTOCOL_BOOT, _UNICAST = 254, 3, 1


class NetlinkError(OSError):
    """The kernel refused a request; ``errno`` is its reason, the text says what was asked."""

    def __init__(self, code: int, action: str) -> None:
        super().__init__(code, f"{action}: {os.strerror(code)}")


class Link(Struct, frozen=True):
    """One network interface as the kernel lists it. ``master`` is the index of its bridge, 0 for none."""

    index: int
    name: str
    up: bool
    master: int
    mac: bytes


def _attribute(kind: int, payload: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + bytes(-size % 4)


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return _attribute(kind, struct.pack("=I", number))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[offset + _ATTRIBUTE.size : offset + size]
        offset += (size + 3) & ~3


class Netlink:
    """A request socket in the namespace of the thread that opens it; ``channel`` is used instead if given."""

    def __init__(self, channel: socket.socket | None = None) -> None:
        self._socket = channel or _open()
        self._sequence = 0

    def close(self) -> None:
        """Frees the socket."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_bridge(self, name: str) -> None:
        """Adds a bridge. Raises NetlinkError EEXIST when the name is taken."""
        info = _attribute(_IFLA_LINKINFO, _text(_IFLA_INFO_KIND, "bridge"))
        self._change(_NEWLINK, _link() + _text(_IFLA_IFNAME, name) + info, f"create bridge {name}", _CREATE | _EXCL)

    def create_veth(self, name: str, peer: str, peer_netns: int, *, master: int, mac: bytes, mtu: int = 0) -> None:
        """Adds a pair: ``name`` here, up and in bridge ``master``; ``peer`` in the namespace of that descriptor."""
        peer_attributes = (
            _text(_IFLA_IFNAME, peer) + _number(_IFLA_NET_NS_FD, peer_netns) + _attribute(_IFLA_ADDRESS, mac)
        )
        if mtu:
            peer_attributes += _number(_IFLA_MTU, mtu)
        peer_info = _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, _link() + peer_attributes))
        info = _attribute(_IFLA_LINKINFO, _text(_IFLA_INFO_KIND, "veth") + peer_info)
        body = _link(flags=_IFF_UP) + _text(_IFLA_IFNAME, name) + _number(_IFLA_MASTER, master)
        if mtu:
            body += _number(_IFLA_MTU, mtu)
        self._change(_NEWLINK, body + info, f"create veth {name}", _CREATE | _EXCL)

    def set_hairpin(self, index: int) -> None:
        """Lets a bridge port send frames back where they came from: a pod reaches itself by its service."""
        mode = _attribute(_IFLA_PROTINFO | 0x8000, _attribute(_IFLA_BRPORT_MODE, b"\x01"))
        body = _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0) + mode
        self._change(_SETLINK, body, f"set hairpin mode on link {index}")

    def set_up(self, index: int) -> None:
        """Brings a link up."""
        self._change(_NEWLINK, _link(index, _IFF_UP), f"bring up link {index}")

    def delete_link(self, name: str) -> bool:
        """Removes a link (a veth's peer goes with it). False when there is none of that name."""
        try:
            self._change(_DELLINK, _link() + _text(_IFLA_IFNAME, name), f"delete link {name}")
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def add_address(self, index: int, address: IPv4Interface) -> None:
        """Gives a link an address with its prefix length; one that is there already is fine."""
        packed = address.ip.packed
        body = _ADDRESS.pack(socket.AF_INET, address.network.prefixlen, 0, 0, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        body += _attribute(_IFA_BROADCAST, address.network.broadcast_address.packed)
        try:
            self._change(_NEWADDR, body, f"add address {address}", _CREATE | _EXCL)
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise

    def add_default_route(self, index: int, gateway: IPv4Address) -> None:
        """Sends everything else to ``gateway``."""
        body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _TABLE_MAIN, _PROTOCOL_BOOT, 0, _UNICAST, 0)
        body += _number(_RTA_OIF, index) + _attribute(_RTA_GATEWAY, gateway.packed)
        self._change(_NEWROUTE, body, f"add default route via {gateway}", _CREATE | _EXCL)

    def links(self) -> Sequence[Link]:
        """Every interface of this namespace."""
        answers = self._ask(_GETLINK, _link(), _REQUEST | _DUMP, "list links")
        return [_parse_link(body) for kind, body in answers if kind == _NEWLINK]

    def link(self, name: str) -> Link | None:
        """The interface of that name."""
        try:
            answers = self._ask(_GETLINK, _link() + _text(_IFLA_IFNAME, name), _REQUEST, f"find link {name}")
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return _parse_link(answers[0][1])

    def addresses(self, index: int) -> Sequence[IPv4Interface]:
        """The IPv4 addresses of a link."""
        request = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
        found = []
        for kind, body in self._ask(_GETADDR, request, _REQUEST | _DUMP, "list addresses"):
            _, prefix, _, _, owner = _ADDRESS.unpack_from(body)
            if kind != _NEWADDR or owner != index:
                continue
            local = dict(_attributes(body[_ADDRESS.size :])).get(_IFA_LOCAL)
            if local is not None:
                found.append(IPv4Interface((int.from_bytes(local, "big"), prefix)))
        return found

    def _change(self, kind: int, body: bytes, action: str, flags: int = 0) -> None:
        self._ask(kind, body, _REQUEST | _ACK | flags, action)

    def _ask(self, kind: int, body: bytes, flags: int, action: str) -> list[tuple[int, bytes]]:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags, self._sequence, 0)
        self._socket.send(header + body)
        answers: list[tuple[int, bytes]] = []
        while True:
            for sequence, answer, payload in _messages(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    if code:
                        raise NetlinkError(code, action)
                    return answers
                if answer == _DONE:
                    return answers
                answers.append((answer, payload))
                if not flags & (_DUMP | _ACK):
                    return answers


def _open() -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    channel.bind((0, 0))
    return channel


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if size < _HEADER.size:
            return
        yield sequence, kind, data[offset + _HEADER.size : offset + size]
        offset += (size + 3) & ~3


def _link(index: int = 0, flags: int = 0) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, flags, flags)


def _parse_link(body: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = dict(_attributes(body[_LINK.size :]))
    master = int.from_bytes(found.get(_IFLA_MASTER, b""), sys.byteorder)
    name = found.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode()
    return Link(index, name, bool(flags & _IFF_UP), master, found.get(_IFLA_ADDRESS, b""))
