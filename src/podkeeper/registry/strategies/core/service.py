"""Services: cluster IPs and node ports are claimed before the object is written and given back when it is not.

Which addresses and ports are taken is known from the Services themselves, taken in at the start. Source:
https://kubernetes.io/docs/concepts/services-networking/service/ and upstream's messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from podkeeper.api.errors import ApiError, Cause, invalid
from podkeeper.registry.allocation.addresses import AddressError, AddressPool
from podkeeper.registry.allocation.ports import PortError, PortPool
from podkeeper.registry.strategies.base import Origin, Reservation, Rules, Strategy, Tree, keep

_FAMILIES = {4: "IPv4", 6: "IPv6"}
_NONE = "None"
_PORT_TYPES = ("NodePort", "LoadBalancer")


class ServiceAllocators:
    """The two pools of a cluster."""

    def __init__(self, service_cidr: str, node_ports: tuple[int, int]) -> None:
        self.addresses = AddressPool(service_cidr)
        self.ports = PortPool(*node_ports)

    @property
    def family(self) -> str:
        """``IPv4`` or ``IPv6``."""
        return _FAMILIES[self.addresses.version]

    def take_in(self, service: Tree) -> None:
        """Notes what a stored Service holds. Two that hold the same are a matter for people, not for the start."""
        for address in held_addresses(service):
            try:
                self.addresses.take(address)
            except AddressError:
                continue
        for port in held_ports(service):
            try:
                self.ports.take(port)
            except PortError:
                continue


class ServiceStrategy(Strategy):
    """Claims happen in ``reserve``; the two ``prepare`` hooks only tidy the tree."""

    rules = Rules(status=True, create_on_update=True)

    def __init__(self, allocators: ServiceAllocators) -> None:
        super().__init__()
        self._allocators = allocators

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """No status yet; families and addresses in both spellings."""
        tree["status"] = {"loadBalancer": {}}
        _align_addresses(tree["spec"])

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """What the client leaves out of what was allocated stays; what the new type does not have goes."""
        keep(new, old, "status")
        _carry_allocated(new["spec"], old["spec"])
        _drop_unneeded(new["spec"], old["spec"])
        _align_addresses(new["spec"])

    def reserve(self, tree: Tree, old: Tree | None, dry_run: bool) -> Reservation | None:
        """Claims what is new in ``tree`` and, once it is written, gives back what is no longer in it."""
        claim = _Claim(self._allocators, tree["metadata"].get("name", ""), old)
        try:
            claim.take_addresses(tree["spec"])
            claim.take_ports(tree["spec"])
        except ApiError:
            claim.roll_back()
            raise
        claim.note_released(tree)
        return claim

    def release(self, tree: Tree) -> None:
        """Gives back everything."""
        for address in held_addresses(tree):
            self._allocators.addresses.give_back(address)
        for port in held_ports(tree):
            self._allocators.ports.give_back(port)

    def changes_generation(self, new: msgspec.Struct, old: msgspec.Struct) -> bool:
        """Services count no generations."""
        return False


class _Claim(Reservation):
    """Addresses and ports that one write takes."""

    def __init__(self, allocators: ServiceAllocators, name: str, old: Tree | None) -> None:
        self._allocators, self._name, self._old = allocators, name, old
        self._had_addresses = held_addresses(old) if old is not None else []
        self._had_ports = held_ports(old) if old is not None else set()
        self._addresses: list[str] = []
        self._ports: list[int] = []
        self._release: list[Callable[[], None]] = []

    def commit(self) -> None:
        """The old claims that are not in the new object end."""
        for give_back in self._release:
            give_back()

    def roll_back(self) -> None:
        """The new claims end."""
        for address in self._addresses:
            self._allocators.addresses.give_back(address)
        for port in self._ports:
            self._allocators.ports.give_back(port)

    def note_released(self, tree: Tree) -> None:
        """Remembers what the new object no longer holds."""
        pools = self._allocators
        for address in set(self._had_addresses) - set(held_addresses(tree)):
            self._release.append(lambda address=address: pools.addresses.give_back(address))  # type: ignore[misc]
        for port in self._had_ports - held_ports(tree):
            self._release.append(lambda port=port: pools.ports.give_back(port))  # type: ignore[misc]

    def take_addresses(self, spec: Tree) -> None:
        """Sets families and cluster IPs."""
        if spec.get("type") == "ExternalName":
            return
        self._settle_families(spec)
        if spec.get("clusterIP") == _NONE:
            spec["clusterIPs"] = [_NONE]
            return
        wanted = spec.get("clusterIPs") or []
        if wanted:
            for address in wanted:
                self._take_address(address, wanted)
        else:
            spec["clusterIPs"] = [self._any_address()]
        spec["clusterIP"] = spec["clusterIPs"][0]

    def take_ports(self, spec: Tree) -> None:
        """Sets node ports. Ports of the same number and different protocol share one."""
        ports = spec.get("ports") or []
        if spec.get("type") in _PORT_TYPES:
            by_port: dict[int, int] = {}
            allocate = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
            for index, port in enumerate(ports):
                self._settle_port(index, port, ports, by_port, allocate)
        if _needs_health_port(spec):
            wanted = spec.get("healthCheckNodePort") or 0
            spec["healthCheckNodePort"] = self._take_port(wanted, "spec.healthCheckNodePort")

    def _settle_port(self, index: int, port: Tree, ports: list[Tree], by_port: dict[int, int], allocate: bool) -> None:
        number = port.get("port", 0)
        wanted = port.get("nodePort") or by_port.get(number) or _requested(number, ports)
        if not wanted and not allocate:
            return
        if wanted != by_port.get(number):
            wanted = self._take_port(wanted, f"spec.ports[{index}].nodePort")
        port["nodePort"] = by_port[number] = wanted

    def _settle_families(self, spec: Tree) -> None:
        family = self._allocators.family
        if spec.get("clusterIP") == _NONE and not spec.get("selector") and not spec.get("ipFamilyPolicy"):
            spec["ipFamilyPolicy"] = "RequireDualStack"
            spec["ipFamilies"] = spec.get("ipFamilies") or [family, "IPv6" if family == "IPv4" else "IPv4"]
            return
        policy = spec.setdefault("ipFamilyPolicy", "SingleStack")
        families = spec.setdefault("ipFamilies", [family])
        if spec.get("clusterIP") == _NONE and not spec.get("selector"):
            return
        if policy == "RequireDualStack":
            text = f'Invalid value: "{policy}": this cluster is not configured for dual-stack services'
            raise self._invalid("spec.ipFamilyPolicy", text)
        if list(families) != [family]:
            other = next((each for each in families if each != family), family)
            text = f'Invalid value: "{other}": not configured on this cluster'
            raise self._invalid("spec.ipFamilies[0]", text)

    def _take_address(self, address: str, wanted: list[str]) -> None:
        if address in self._had_addresses:
            return
        try:
            self._allocators.addresses.take(address)
        except AddressError as error:
            listed = ",".join(f'"{each}"' for each in wanted)
            text = f"Invalid value: [{listed}]: failed to allocate IP {address}: {error}"
            raise self._invalid("spec.clusterIPs", text) from error
        self._addresses.append(address)

    def _any_address(self) -> str:
        try:
            address = self._allocators.addresses.take_any()
        except AddressError as error:
            raise ApiError(500, "InternalError", f"failed to allocate a serviceIP: {error}") from error
        self._addresses.append(address)
        return address

    def _take_port(self, wanted: int, field: str) -> int:
        pool = self._allocators.ports
        if wanted and (wanted in self._had_ports or wanted in self._ports):
            return wanted
        try:
            if wanted:
                pool.take(wanted)
            else:
                wanted = pool.take_any()
        except PortError as error:
            if not wanted:
                raise ApiError(500, "InternalError", f"failed to allocate a nodePort: {error}") from error
            raise self._invalid(field, f"Invalid value: {wanted}: {error}") from error
        self._ports.append(wanted)
        return wanted

    def _invalid(self, field: str, text: str) -> ApiError:
        return invalid("Service", "", self._name, [Cause("FieldValueInvalid", text, field)])


def held_addresses(service: Tree) -> list[str]:
    """The cluster IPs that a Service holds."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return []
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [address for address in addresses if address and address != _NONE]


def held_ports(service: Tree) -> set[int]:
    """The node ports that a Service holds."""
    spec = service.get("spec") or {}
    ports = {port.get("nodePort") for port in spec.get("ports") or ()} | {spec.get("healthCheckNodePort")}
    return {port for port in ports if port}


def _requested(number: int, ports: list[Tree]) -> int:
    """A node port that the client names for another protocol of the same port."""
    return next((each["nodePort"] for each in ports if each.get("port") == number and each.get("nodePort")), 0)


def _needs_health_port(spec: Tree) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _align_addresses(spec: Tree) -> None:
    """``clusterIP`` and the first of ``clusterIPs`` are one field in two spellings."""
    if spec.get("type") == "ExternalName":
        for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(member) in ("", [], None):
                spec.pop(member, None)
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def _carry_allocated(new: Tree, old: Tree) -> None:
    if _has_address(new) and _has_address(old):
        if not new.get("clusterIP") and not new.get("clusterIPs"):
            keep(new, old, "clusterIP")
            keep(new, old, "clusterIPs")
        for member in ("ipFamilies", "ipFamilyPolicy"):
            if not new.get(member):
                keep(new, old, member)
    if new.get("type") in _PORT_TYPES and old.get("type") in _PORT_TYPES:
        before = {_port_id(port): port.get("nodePort") for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            if not port.get("nodePort") and before.get(_port_id(port)):
                port["nodePort"] = before[_port_id(port)]
    if _needs_health_port(new) and _needs_health_port(old) and not new.get("healthCheckNodePort"):
        keep(new, old, "healthCheckNodePort")


def _drop_unneeded(new: Tree, old: Tree) -> None:
    """Fields that the old type had and the new has not go, where the client just left them as they were."""
    if _has_address(old) and not _has_address(new):
        if (new.get("clusterIP"), new.get("clusterIPs")) == (old.get("clusterIP"), old.get("clusterIPs")):
            new.pop("clusterIP", None)
            new.pop("clusterIPs", None)
        _drop_unchanged(new, old, "ipFamilies", "ipFamilyPolicy")
    if old.get("type") in _PORT_TYPES and new.get("type") not in _PORT_TYPES:
        before = {_port_id(port): port.get("nodePort") for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            if port.get("nodePort") and port["nodePort"] == before.get(_port_id(port)):
                del port["nodePort"]
    if _needs_health_port(old) and not _needs_health_port(new):
        _drop_unchanged(new, old, "healthCheckNodePort")
    if old.get("type") == "LoadBalancer" and new.get("type") != "LoadBalancer":
        _drop_unchanged(new, old, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if _takes_outside_traffic(old) and not _takes_outside_traffic(new):
        _drop_unchanged(new, old, "externalTrafficPolicy")


def _drop_unchanged(new: Tree, old: Tree, *members: str) -> None:
    for member in members:
        if new.get(member) == old.get(member):
            new.pop(member, None)


def _has_address(spec: Tree) -> bool:
    """Headless Services included: they hold the word that they want none."""
    return spec.get("type") != "ExternalName"


def _takes_outside_traffic(spec: Tree) -> bool:
    return spec.get("type") in _PORT_TYPES or bool(spec.get("type") == "ClusterIP" and spec.get("externalIPs"))


def _port_id(port: Tree) -> tuple[Any, Any]:
    return port.get("protocol", "TCP"), port.get("port")
