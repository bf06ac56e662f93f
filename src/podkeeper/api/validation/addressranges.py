"""IPAddresses and ServiceCIDRs: what the service network consists of.

Source: https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import IMMUTABLE, Found, indexed
from podkeeper.api.validation.paths import canonical_network

if TYPE_CHECKING:
    from podkeeper.api.networking import v1 as networking

_AT = "spec.cidrs"


def ip_address(found: Found, obj: networking.IPAddress) -> None:
    """A new address, which says who has it."""
    parent, at = obj.spec.parent_ref, "spec.parentRef"
    if parent is None:
        found.required(at)
        return
    if parent.group:
        found.check(f"{at}.group", parent.group, names.dns_subdomain)
    for name, value, needed in (
        ("resource", parent.resource, True),
        ("name", parent.name, True),
        ("namespace", parent.namespace, False),
    ):
        if value:
            found.check(f"{at}.{name}", value, names.path_segment)
        elif needed:
            found.required(f"{at}.{name}")


def ip_address_update(found: Found, new: networking.IPAddress, old: networking.IPAddress) -> None:
    """Who has it stays."""
    found.unchanged("spec.parentRef", new.spec.parent_ref, old.spec.parent_ref)


def service_cidr(found: Found, obj: networking.ServiceCIDR) -> None:
    """A new range, or one of each family."""
    cidrs = obj.spec.cidrs
    if not cidrs:
        found.required(_AT, "at least one CIDR required")
        return
    if len(cidrs) > 2:
        found.invalid(_AT, obj.spec, "may only hold up to 2 values")
        return
    before = len(found)
    for path, each in indexed(_AT, cidrs):
        canonical_network(found, path, each)
    families = {ipaddress.ip_network(each).version for each in cidrs} if len(found) == before else set()
    if len(cidrs) == 2 and len(families) == 1:
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        found.invalid(_AT, cidrs, why)


def service_cidr_update(found: Found, new: networking.ServiceCIDR, old: networking.ServiceCIDR) -> None:
    """Ranges stay; the other family may join."""
    after, before = new.spec.cidrs, old.spec.cidrs
    if len(after) != len(before) and (len(before), len(after)) != (1, 2):
        found.invalid(_AT, after, IMMUTABLE)
        return
    for (path, value), previous in zip(indexed(_AT, after), before, strict=False):
        found.unchanged(path, value, previous)
    if len(after) > len(before):
        service_cidr(found, new)
