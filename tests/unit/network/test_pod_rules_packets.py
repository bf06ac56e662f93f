"""What the pod network's rules do to packets: the script is read back and simulated packets are sent through it.

The simulation knows the few statements that the script uses and refuses any other, so that a rule cannot be added
without being simulated. That the kernel reads the script the same way is proved in tests/contract/test_podnetwork.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.network import pod_rules
from podkeeper.runtime.podnetwork import PortMapping

PODS = IPv4Network("10.244.0.0/24")
NODE, OTHER_NODE_ADDRESS, OUTSIDE, POD = "192.0.2.1", "198.51.100.1", "203.0.113.9", "10.244.0.7"


@dataclass(frozen=True)
class Packet:
    """A new connection's first packet; ``out`` is the interface that it leaves by."""

    source: str
    target: str
    port: int = 80
    protocol: str = "tcp"
    out: str = "eth0"
    translated: bool = False


@dataclass
class Rules:
    """The table as the kernel would hold it after some scripts."""

    local: tuple[str, ...] = (NODE, OTHER_NODE_ADDRESS, "127.0.0.1")
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)

    def run(self, script: str) -> None:
        chain = ""
        for line in map(str.strip, script.splitlines()):
            if match := re.fullmatch(r"(add|delete) element ip podkeeper-pods (\S+) \{ (.+) : (.+) \}", line):
                self._element(*match.groups())
            elif line == "delete table ip podkeeper-pods":
                self.maps, self.chains = {}, {}
            elif match := re.fullmatch(r"map (\S+) \{ type .* \}", line):
                self.maps[match[1]] = {}
            elif match := re.fullmatch(r"chain (\S+) \{", line):
                chain = match[1]
                self.chains[chain] = []
            elif line and line != "}" and not line.startswith(("type ", "add table", "table ")):
                self.chains[chain].append(line)

    def _element(self, verb: str, name: str, key: str, value: str) -> None:
        present = self.maps[name]
        if verb == "delete":
            assert present.pop(key) == value
        else:
            assert present.get(key, value) == value, f"{key} is taken"
            present[key] = value

    def arrive(self, packet: Packet, hook: str = "prerouting") -> tuple[str, int] | None:
        """Where hostPorts send it; None when they leave it alone."""
        assert self.chains[hook] == ["fib daddr type local jump hostports"]
        if packet.target not in self.local:
            return None
        for rule in self.chains["hostports"]:
            match = re.fullmatch(r"meta l4proto (\w+) dnat ip to (ip daddr \. )?(\w+) dport map @(\S+)", rule)
            assert match is not None, rule
            if match[1] != packet.protocol:
                continue
            found = self.maps[match[4]].get(f"{packet.target} . {packet.port}" if match[2] else str(packet.port))
            if found is not None:
                address, _, port = found.partition(" . ")
                return address, int(port)
        return None

    def is_masqueraded(self, packet: Packet) -> bool:
        return any(self._matches(rule, packet) for rule in self.chains["postrouting"])

    def _matches(self, rule: str, packet: Packet) -> bool:
        words = rule.split()
        assert words.pop() == "masquerade"
        holds = []
        while words:
            if words[:2] == ["ct", "status"]:
                holds.append(packet.translated and words[2] == "dnat")
                del words[:3]
                continue
            subject = words.pop(0) if words[0] == "oifname" else f"{words.pop(0)} {words.pop(0)}"
            negated = words[0] == "!="
            wanted = words.pop(1 if negated else 0).strip('"')
            if negated:
                words.pop(0)
            holds.append(self._has(subject, wanted, packet) is not negated)
        return all(holds)

    def _has(self, subject: str, wanted: str, packet: Packet) -> bool:
        if subject == "oifname":
            return packet.out == wanted
        address = {"ip saddr": packet.source, "ip daddr": packet.target}[subject]
        return ip_address(address) in IPv4Network(wanted)


def rules(*mappings: PortMapping) -> Rules:
    made = Rules()
    made.run(pod_rules.table_script(PODS, "podkeeper0", [(POD, each) for each in mappings]))
    return made


def test_pods_leave_with_the_nodes_address_and_meet_each_other_with_their_own() -> None:
    made = rules()
    assert made.is_masqueraded(Packet(POD, OUTSIDE))
    assert not made.is_masqueraded(Packet(POD, "10.244.0.8", out="podkeeper0"))
    assert not made.is_masqueraded(Packet(POD, "224.0.0.251"))
    assert not made.is_masqueraded(Packet(OUTSIDE, POD, out="podkeeper0"))
    assert not made.is_masqueraded(Packet(NODE, OUTSIDE))


def test_a_host_port_leads_to_its_pod_from_everywhere() -> None:
    made = rules(PortMapping(80, 8080))
    for target in made.local:
        assert made.arrive(Packet(OUTSIDE, target, 8080)) == (POD, 80)
        assert made.arrive(Packet("127.0.0.1", target, 8080), "output") == (POD, 80)
    assert made.arrive(Packet(OUTSIDE, NODE, 8081)) is None
    assert made.arrive(Packet(OUTSIDE, NODE, 8080, "udp")) is None
    assert made.arrive(Packet(POD, OUTSIDE, 8080)) is None


def test_answers_find_back_from_where_the_pod_alone_could_not_send_them() -> None:
    made = rules(PortMapping(80, 8080))
    assert made.is_masqueraded(Packet("127.0.0.1", POD, out="podkeeper0", translated=True))
    assert made.is_masqueraded(Packet(POD, POD, out="podkeeper0", translated=True))
    assert not made.is_masqueraded(Packet(OUTSIDE, POD, out="podkeeper0", translated=True))


def test_one_address_of_the_node_goes_before_all_of_them() -> None:
    made = rules(PortMapping(80, 8080), PortMapping(81, 8080, host_ip=NODE), PortMapping(53, 53, "UDP", "127.0.0.1"))
    assert made.arrive(Packet(OUTSIDE, NODE, 8080)) == (POD, 81)
    assert made.arrive(Packet(OUTSIDE, OTHER_NODE_ADDRESS, 8080)) == (POD, 80)
    assert made.arrive(Packet("127.0.0.1", "127.0.0.1", 53, "udp")) == (POD, 53)
    assert made.arrive(Packet(OUTSIDE, NODE, 53, "udp")) is None


def test_the_wildcard_address_means_every_address() -> None:
    made = rules(PortMapping(80, 8080, host_ip="0.0.0.0"))
    assert made.arrive(Packet(OUTSIDE, NODE, 8080)) == (POD, 80)
    assert pod_rules.key(PortMapping(1, 8080, host_ip="0.0.0.0")) == pod_rules.key(PortMapping(2, 8080))


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="protocol ICMP is not TCP, UDP or SCTP"):
        pod_rules.add_script(POD, [PortMapping(80, 8080, "ICMP")])


PORTS = st.builds(
    PortMapping,
    container_port=st.integers(1, 3),
    host_port=st.integers(1, 4),
    protocol=st.sampled_from(("TCP", "UDP", "SCTP")),
    host_ip=st.sampled_from(("", "0.0.0.0", NODE)),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(2, 6), st.lists(PORTS, max_size=3)), max_size=12))
def test_after_any_coming_and_going_the_rules_are_those_of_a_fresh_start(
    steps: list[tuple[int, list[PortMapping]]],
) -> None:
    made, held = rules(), dict[str, list[PortMapping]]()
    for number, wanted in steps:
        address = str(IPv4Address(f"10.244.0.{number}"))
        gone = held.pop(address, [])
        made.run(pod_rules.remove_script(address, gone))
        taken = {pod_rules.key(each) for mappings in held.values() for each in mappings}
        unique = {pod_rules.key(each): each for each in wanted if pod_rules.key(each) not in taken}
        held[address] = list(unique.values())
        made.run(pod_rules.add_script(address, held[address]))
    fresh = Rules()
    pairs = [(address, each) for address, mappings in held.items() for each in mappings]
    fresh.run(pod_rules.table_script(PODS, "podkeeper0", pairs))
    assert (made.maps, made.chains) == (fresh.maps, fresh.chains)
