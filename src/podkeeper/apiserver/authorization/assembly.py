"""Puts the authorizers together by what the server was told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from podkeeper.apiserver.authorization.authorizer import Authorizer, Layer, NodeLayer, RbacLayer
from podkeeper.apiserver.authorization.configuration import DEFAULT, load
from podkeeper.apiserver.authorization.node import NodeAuthorizer
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.foundation.clock import Clock


def make_authorizer(rbac: RbacIndex, node: NodeAuthorizer, configuration: Path | None, clock: Clock) -> Authorizer:
    """The authorizer of one server. Raises ConfigurationError."""
    own: Mapping[str, Layer] = {"Node": NodeLayer(node), "RBAC": RbacLayer(rbac)}
    layers: list[Layer] = []
    for each in load(configuration) if configuration is not None else DEFAULT:
        if each.webhook is None:
            layers.append(own[each.kind])
        else:
            from podkeeper.apiserver.authorization.webhook import WebhookAuthorizer

            layers.append(WebhookAuthorizer(each.name, each.webhook, clock))
    return Authorizer(rbac, node, layers)
