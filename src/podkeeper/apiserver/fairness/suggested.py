"""The flow schemas and priority levels that a cluster begins with: upstream's mandatory and suggested ones, as trees.

Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.api.user import AUTHENTICATED_GROUP, MASTERS_GROUP, UNAUTHENTICATED_GROUP

Tree = dict[str, Any]

API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
#: "true" leaves the spec to the server, "false" to the cluster's operators.
AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = frozenset({"exempt", "catch-all"})

_EVERYONE = (UNAUTHENTICATED_GROUP, AUTHENTICATED_GROUP)
_RESOURCES: Tree = {
    "verbs": ["*"],
    "apiGroups": ["*"],
    "resources": ["*"],
    "clusterScope": True,
    "namespaces": ["*"],
}
_PATHS: Tree = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_LOCK_VERBS = ("get", "create", "update")


def priority_levels() -> list[Tree]:
    """Every PriorityLevelConfiguration."""
    return [
        _level("exempt", {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
        _level("catch-all", _limited(5, 0, None)),
        _level("system", _limited(30, 33, (64, 6))),
        _level("node-high", _limited(40, 25, (64, 6))),
        _level("leader-election", _limited(10, 0, (16, 4))),
        _level("workload-high", _limited(40, 50, (128, 6))),
        _level("workload-low", _limited(100, 90, (128, 6))),
        _level("global-default", _limited(20, 50, (128, 6))),
    ]


def flow_schemas() -> list[Tree]:
    """Every FlowSchema."""
    kube_system = _accounts("*")
    endpoints = _rule(_LOCK_VERBS, "", ("endpoints", "configmaps"))
    leases = _rule(_LOCK_VERBS, "coordination.k8s.io", ("leases",))
    nodes = _groups("system:nodes")
    manager, scheduler = _users("system:kube-controller-manager"), _users("system:kube-scheduler")
    return [
        _schema("exempt", "exempt", 1, "", _all(_groups(MASTERS_GROUP))),
        _schema("catch-all", "catch-all", 10000, "ByUser", _all(_groups(*_EVERYONE))),
        _schema(
            "probes",
            "exempt",
            2,
            "",
            {
                "subjects": _groups(*_EVERYONE),
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}],
            },
        ),
        _schema(
            "system-leader-election",
            "leader-election",
            100,
            "ByUser",
            {"subjects": [*manager, *scheduler, *kube_system], "resourceRules": [leases]},
        ),
        _schema(
            "endpoint-controller",
            "workload-high",
            150,
            "ByUser",
            {
                "subjects": [*manager, *_accounts("endpoint-controller", "endpointslicemirroring-controller")],
                "resourceRules": [_rule(_LOCK_VERBS, "", ("endpoints",))],
            },
        ),
        _schema(
            "workload-leader-election",
            "leader-election",
            200,
            "ByUser",
            {"subjects": kube_system, "resourceRules": [endpoints, leases]},
        ),
        _schema(
            "system-node-high",
            "node-high",
            400,
            "ByUser",
            {
                "subjects": nodes,
                "resourceRules": [
                    _rule(("*",), "", ("nodes", "nodes/status"), cluster=True),
                    _rule(("*",), "coordination.k8s.io", ("leases",)),
                ],
            },
        ),
        _schema("system-nodes", "system", 500, "ByUser", _all(nodes)),
        _schema("kube-controller-manager", "workload-high", 800, "ByNamespace", _all(manager)),
        _schema("kube-scheduler", "workload-high", 800, "ByNamespace", _all(scheduler)),
        _schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", _all(kube_system)),
        _schema("service-accounts", "workload-low", 9000, "ByUser", _all(_groups("system:serviceaccounts"))),
        _schema("global-default", "global-default", 9900, "ByUser", _all(_groups(*_EVERYONE))),
    ]


def _object(kind: str, name: str, spec: Tree) -> Tree:
    metadata = {"name": name, "annotations": {AUTO_UPDATE: "true"}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _level(name: str, spec: Tree) -> Tree:
    return _object("PriorityLevelConfiguration", name, spec)


def _limited(shares: int, lendable: int, queues: tuple[int, int] | None) -> Tree:
    response: Tree = {"type": "Reject"}
    if queues is not None:
        queuing = {"queues": queues[0], "handSize": queues[1], "queueLengthLimit": 50}
        response = {"type": "Queue", "queuing": queuing}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return {"type": "Limited", "limited": limited}


def _schema(name: str, level: str, precedence: int, distinguisher: str, rule: Tree) -> Tree:
    spec: Tree = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [rule],
    }
    if distinguisher:
        spec["distinguisherMethod"] = {"type": distinguisher}
    return _object("FlowSchema", name, spec)


def _all(subjects: list[Tree]) -> Tree:
    return {"subjects": subjects, "resourceRules": [_RESOURCES], "nonResourceRules": [_PATHS]}


def _rule(verbs: Sequence[str], group: str, resources: Sequence[str], *, cluster: bool = False) -> Tree:
    rule: Tree = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources), "namespaces": ["*"]}
    return rule | {"clusterScope": True} if cluster else rule


def _groups(*names: str) -> list[Tree]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Tree]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _accounts(*names: str) -> list[Tree]:
    return [{"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}} for name in names]
