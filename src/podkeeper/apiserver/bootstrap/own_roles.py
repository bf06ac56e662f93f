"""Bindings of our own, beside upstream's: our controllers share one identity, which needs each controller's role.

Upstream grants the roles to a service account per controller, or to the controller manager itself where it runs
without ``--use-service-account-credentials``. This is the second way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

USER = "system:kube-controller-manager"
#: The roles ``system:controller:NAME`` of the controllers that run.
CONTROLLERS = (
    "certificate-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "generic-garbage-collector",
    "namespace-controller",
    "node-controller",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "volumeattributesclass-protection-controller",
)


def bindings() -> Iterator[Mapping[str, Any]]:
    """One ClusterRoleBinding a controller."""
    group = "rbac.authorization.k8s.io"
    for name in CONTROLLERS:
        yield {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"podkeeper:controller:{name}"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": f"system:controller:{name}"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
        }
