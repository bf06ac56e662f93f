"""Cluster-wide kinds, networking and extensions that are refused, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec, defaults, resources
from podkeeper.api.validation import validate_create

SCHEMA = {"openAPIV3Schema": {"type": "object"}}
WEB = {"service": {"name": "web", "port": {"number": 80}}}
CRD = {
    "group": "example.com",
    "scope": "Namespaced",
    "names": {"plural": "xs", "kind": "X", "singular": "x", "listKind": "XList"},
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}],
}
HOOK = {
    "name": "a.example.com",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "clientConfig": {"url": "https://example.com"},
    "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
}
BASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Namespace": ("", "x", {"spec": {"finalizers": ["kubernetes"]}}),
    "Node": ("", "x", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
    "PersistentVolume": (
        "",
        "x",
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}},
    ),
    "ResourceQuota": ("", "x", {"spec": {"hard": {"pods": "3", "requests.cpu": "1", "count/jobs.batch": "2"}}}),
    "LimitRange": ("", "x", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}}),
    "Ingress": (
        "networking.k8s.io",
        "x",
        {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": WEB}]}}]}},
    ),
    "IngressClass": ("networking.k8s.io", "x", {"spec": {"controller": "example.com/c"}}),
    "NetworkPolicy": (
        "networking.k8s.io",
        "x",
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]}},
    ),
    "CustomResourceDefinition": ("apiextensions.k8s.io", "xs.example.com", {"spec": CRD}),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io", "x", {"webhooks": [HOOK]}),
}


def mistakes(kind: str, changed: dict[str, Any]) -> list[tuple[str, str]]:
    group, name, base = BASES[kind]
    row = resources.for_kind(group, "v1", kind)
    assert row is not None
    metadata = {"name": name} | ({"namespace": "n"} if row.namespaced else {})
    tree: dict[str, Any] = {"apiVersion": row.api_version, "kind": kind, "metadata": metadata} | base
    if "spec" in base:
        tree["spec"] = base["spec"] | changed
    else:
        tree |= changed
    defaults.apply(row, tree)
    obj = codec.from_tree(codec.struct_class(row), tree)
    return [(cause.field, cause.message) for cause in validate_create(row, {}, obj)]


@pytest.mark.parametrize("kind", BASES)
def test_the_plain_kind_is_good(kind: str) -> None:
    assert mistakes(kind, {}) == []


@pytest.mark.parametrize(
    ("kind", "changed", "field", "message"),
    [
        (
            "Namespace",
            {"finalizers": ["mine"]},
            "spec.finalizers",
            'Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
        ),
        (
            "Node",
            {"taints": [{"key": "a", "effect": "Never"}]},
            "metadata.taints[0].effect",
            'Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        ),
        ("PersistentVolume", {"hostPath": None}, "spec", "Required value: must specify a volume type"),
        (
            "PersistentVolume",
            {"hostPath": None, "local": {"path": "/x"}},
            "spec.nodeAffinity",
            "Required value: Local volume requires node affinity",
        ),
        (
            "ResourceQuota",
            {"hard": {"pods": "-1"}},
            "spec.hard[pods]",
            'Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            "LimitRange",
            {"limits": [{"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]},
            "spec.limits[0].min[cpu]",
            'Invalid value: "2": min value 2 is greater than max value 1',
        ),
        ("Ingress", {"rules": []}, "spec", "Invalid value: []: either `defaultBackend` or `rules` must be specified"),
        (
            "Ingress",
            {"rules": [{"http": {"paths": [{"path": "x", "pathType": "Exact", "backend": WEB}]}}]},
            "spec.rules[0].http.paths[0].path",
            'Invalid value: "x": must be an absolute path',
        ),
        (
            "IngressClass",
            {"controller": "c"},
            "spec.controller",
            'Invalid value: "c": must be a domain-prefixed path (such as "acme.io/foo")',
        ),
        (
            "NetworkPolicy",
            {"ingress": [{"from": [{}]}]},
            "spec.ingress[0].from[0]",
            "Required value: must specify a peer",
        ),
        (
            "CustomResourceDefinition",
            {"names": CRD["names"] | {"plural": "ys"}},  # type: ignore[operator]
            "metadata.name",
            'Invalid value: "xs.example.com": must be spec.names.plural+"."+spec.group',
        ),
        (
            "ValidatingWebhookConfiguration",
            {"webhooks": [HOOK | {"name": "a"}]},
            "webhooks[0].name",
            'Invalid value: "a": should be a domain with at least three segments separated by dots',
        ),
    ],
)
def test_a_mistake_names_its_field(kind: str, changed: dict[str, Any], field: str, message: str) -> None:
    assert mistakes(kind, changed) == [(field, message)]


@pytest.mark.parametrize(
    "good", ["count/jobs.batch", "requests.example.com/gpu", "requests.hugepages-2Mi", "limits.cpu"]
)
def test_what_a_quota_counts(good: str) -> None:
    assert mistakes("ResourceQuota", {"hard": {good: "1"}}) == []


@pytest.mark.parametrize("unknown", ["foo", "requests.foo"])
def test_what_no_quota_counts(unknown: str) -> None:
    at = f"spec.hard[{unknown}]"
    assert mistakes("ResourceQuota", {"hard": {unknown: "1"}}) == [
        (at, f'Invalid value: "{unknown}": must be a standard resource type or fully qualified'),
        (at, f'Invalid value: "{unknown}": must be a standard resource for quota'),
    ]
