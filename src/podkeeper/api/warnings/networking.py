"""Ways in and walls.

Source: upstream's strategies of ingresses and network policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from podkeeper.api.warnings.addresses import of_network

if TYPE_CHECKING:
    from podkeeper.api.networking import v1 as networking

_CLASS = "kubernetes.io/ingress.class"


def ingress(new: networking.Ingress, old: networking.Ingress | None) -> Iterator[str]:
    """A new ingress that names its class in the old way only."""
    named = new.spec is not None and new.spec.ingress_class_name is not None
    if old is None and not named and _CLASS in new.metadata.annotations:
        yield f"annotation \"{_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def network_policy(new: networking.NetworkPolicy, old: networking.NetworkPolicy | None) -> Iterator[str]:
    """A policy."""
    if new.spec is None:
        return
    for index, rule in enumerate(new.spec.ingress):
        yield from _peers(f"spec.ingress[{index}].from", rule.from_)
    for index, way_out in enumerate(new.spec.egress):
        yield from _peers(f"spec.egress[{index}].to", way_out.to)


def _peers(at: str, peers: Sequence[networking.NetworkPolicyPeer]) -> Iterator[str]:
    for index, peer in enumerate(peers):
        block = peer.ip_block
        if block is None:
            continue
        yield from of_network(f"{at}[{index}].ipBlock.cidr", block.cidr)
        for number, network in enumerate(block.except_):
            yield from of_network(f"{at}[{index}].ipBlock.except[{number}]", network)
