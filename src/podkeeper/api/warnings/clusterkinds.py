"""Nodes, runtime classes, service accounts.

Source: upstream's strategies of these kinds, pkg/api/node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from podkeeper.api.warnings.nodelabels import DEPRECATED

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.node import v1 as nodes

_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_NO_MOUNTABLE = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"


def node(new: v1.Node, old: v1.Node | None) -> Iterator[str]:
    """A node."""
    if new.spec is None:
        return
    if new.spec.config_source is not None:
        yield "spec.configSource: the feature is removed"
    if new.spec.external_id:
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"


def runtime_class(new: nodes.RuntimeClass, old: nodes.RuntimeClass | None) -> Iterator[str]:
    """A runtime class."""
    for key in new.scheduling.node_selector if new.scheduling is not None else ():
        if key in DEPRECATED:
            yield f"scheduling.nodeSelector: {DEPRECATED[key]}"


def service_account(new: v1.ServiceAccount, old: v1.ServiceAccount | None) -> Iterator[str]:
    """A service account that has the annotation since now."""
    if _MOUNTABLE in new.metadata.annotations and (old is None or _MOUNTABLE not in old.metadata.annotations):
        yield f"metadata.annotations[{_MOUNTABLE}]: {_NO_MOUNTABLE}"
