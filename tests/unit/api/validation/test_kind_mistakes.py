"""Services, configuration, access control, policies and cluster-wide kinds that are refused, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec, defaults, resources
from podkeeper.api.validation import validate_create, validate_update

RBAC = "rbac.authorization.k8s.io"
ADDRESSED = {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}
BASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Service": ("", "v1", {"spec": ADDRESSED | {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
    "Endpoints": ("", "v1", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
    "EndpointSlice": (
        "discovery.k8s.io",
        "v1",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    ),
    "ConfigMap": ("", "v1", {"data": {"a.b": "c"}, "binaryData": {"d": "AA=="}}),
    "Secret": ("", "v1", {"data": {"a": "AA=="}}),
    "Role": (RBAC, "v1", {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}),
    "ClusterRole": (RBAC, "v1", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]}),
    "RoleBinding": (
        RBAC,
        "v1",
        {
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "system:x"},
            "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "n"}, {"kind": "User", "name": "u"}],
        },
    ),
    "PodDisruptionBudget": ("policy", "v1", {"spec": {"minAvailable": "50%", "selector": {}}}),
    "PriorityClass": ("scheduling.k8s.io", "v1", {"value": 10}),
    "StorageClass": ("storage.k8s.io", "v1", {"provisioner": "podkeeper.io/local"}),
    "Lease": ("coordination.k8s.io", "v1", {"spec": {"leaseDurationSeconds": 15}}),
    "RuntimeClass": ("node.k8s.io", "v1", {"handler": "crun"}),
    "HorizontalPodAutoscaler": (
        "autoscaling",
        "v2",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}},
    ),
}


def build(kind: str, changed: dict[str, Any], name: str = "x") -> tuple[Any, Any]:
    group, version, base = BASES[kind]
    row = resources.for_kind(group, version, kind)
    assert row is not None
    metadata = {"name": name} | ({"namespace": "n"} if row.namespaced else {})
    tree: dict[str, Any] = {"apiVersion": row.api_version, "kind": kind, "metadata": metadata}
    for member in (*base, *changed):
        value = changed.get(member, base.get(member))
        if member == "spec":
            value = (base.get("spec") or {}) | (changed.get("spec") or {})
        tree[member] = value
    defaults.apply(row, tree)
    return row, codec.from_tree(codec.struct_class(row), tree)


def mistakes(kind: str, changed: dict[str, Any], name: str = "x") -> list[tuple[str, str]]:
    row, obj = build(kind, changed, name)
    return [(cause.field, cause.message) for cause in validate_create(row, {}, obj)]


@pytest.mark.parametrize("kind", BASES)
def test_the_plain_kind_is_good(kind: str) -> None:
    assert mistakes(kind, {}) == []


@pytest.mark.parametrize(
    ("kind", "changed", "field", "message"),
    [
        ("Service", {"spec": {"ports": []}}, "spec.ports", "Required value"),
        (
            "Service",
            {"spec": {"ports": [{"port": 1}, {"port": 2, "name": "b"}]}},
            "spec.ports[0].name",
            "Required value",
        ),
        (
            "Service",
            {"spec": {"ports": [{"port": 0, "targetPort": 1}]}},
            "spec.ports[0].port",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "Service",
            {"spec": {"type": "Public"}},
            "spec.type",
            'Unsupported value: "Public": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
        ),
        (
            "Service",
            {"spec": {"sessionAffinity": "Cookie"}},
            "spec.sessionAffinity",
            'Unsupported value: "Cookie": supported values: "ClientIP", "None"',
        ),
        (
            "Endpoints",
            {"subsets": [{}]},
            "subsets[0]",
            "Required value: must specify `addresses` or `notReadyAddresses`",
        ),
        (
            "EndpointSlice",
            {"endpoints": [{"addresses": []}]},
            "endpoints[0].addresses",
            "Required value: must contain at least 1 address",
        ),
        (
            "ConfigMap",
            {"data": {"..a": ""}, "binaryData": {}},
            "data[..a]",
            "Invalid value: \"..a\": must not start with '..'",
        ),
        ("ConfigMap", {"data": {"a": "x" * (1 << 20)}}, "", "Too long: may not be more than 1048576 bytes"),
        ("Secret", {"type": "kubernetes.io/ssh-auth"}, "data[ssh-privatekey]", "Required value"),
        (
            "Role",
            {"rules": [{"verbs": [], "apiGroups": [""], "resources": ["pods"]}]},
            "rules[0].verbs",
            "Required value: verbs must contain at least one value",
        ),
        (
            "Role",
            {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
            "rules[0].nonResourceURLs",
            'Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
        ),
        (
            "RoleBinding",
            {"roleRef": {"apiGroup": RBAC, "kind": "Pod", "name": "x"}},
            "roleRef.kind",
            'Unsupported value: "Pod": supported values: "Role", "ClusterRole"',
        ),
        (
            "PodDisruptionBudget",
            {"spec": {"minAvailable": "half"}},
            "spec.minAvailable",
            "Invalid value: \"half\": a valid percent string must be a numeric string followed by an ending '%' "
            "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
        (
            "PriorityClass",
            {"value": 1000000001},
            "value",
            "Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        ("StorageClass", {"provisioner": ""}, "provisioner", "Required value"),
        (
            "Lease",
            {"spec": {"leaseDurationSeconds": 0}},
            "spec.leaseDurationSeconds",
            "Invalid value: 0: must be greater than 0",
        ),
        (
            "HorizontalPodAutoscaler",
            {"spec": {"minReplicas": 5}},
            "spec.maxReplicas",
            "Invalid value: 3: must be greater than or equal to `minReplicas`",
        ),
    ],
)
def test_a_mistake_names_its_field(kind: str, changed: dict[str, Any], field: str, message: str) -> None:
    assert mistakes(kind, changed) == [(field, message)]


def test_system_priorities_are_reserved() -> None:
    assert mistakes("PriorityClass", {"value": 2000000000}, "system-cluster-critical") == []
    assert mistakes("PriorityClass", {}, "system-mine") == [
        (
            "metadata.name",
            "Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
            "error: system-mine is not a known system priority class",
        )
    ]


@pytest.mark.parametrize(
    ("kind", "old", "new", "field", "message"),
    [
        (
            "Service",
            {},
            {"spec": {"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.2"]}},
            "spec.clusterIPs[0]",
            'Invalid value: ["10.0.0.2"]: may not change once set',
        ),
        (
            "RoleBinding",
            {},
            {"roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "y"}},
            "roleRef",
            'Invalid value: {"kind":"Role","apiGroup":"rbac.authorization.k8s.io","name":"y"}: cannot change roleRef',
        ),
        (
            "ConfigMap",
            {"immutable": True},
            {"immutable": True, "data": {"a": "b"}},
            "data",
            "Forbidden: field is immutable when `immutable` is set",
        ),
        ("Secret", {}, {"type": "mine"}, "type", 'Invalid value: "mine": field is immutable'),
        ("PriorityClass", {}, {"value": 11}, "value", "Forbidden: may not be changed in an update."),
        (
            "StorageClass",
            {},
            {"provisioner": "other"},
            "provisioner",
            "Forbidden: updates to provisioner are forbidden.",
        ),
        ("RuntimeClass", {}, {"handler": "runc"}, "handler", 'Invalid value: "runc": field is immutable'),
    ],
)
def test_what_stays(kind: str, old: dict[str, Any], new: dict[str, Any], field: str, message: str) -> None:
    row, before = build(kind, old)
    _, after = build(kind, new)
    assert [(each.field, each.message) for each in validate_update(row, after, before)] == [(field, message)]
