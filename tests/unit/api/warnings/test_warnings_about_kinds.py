"""What is said about objects other than pods that are taken all the same."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec, warnings
from podkeeper.api.meta import v1 as meta
from podkeeper.api.resources import for_kind
from podkeeper.api.warnings.addresses import of_address, of_network
from podkeeper.api.warnings.finalizers import of_custom_object

Tree = dict[str, Any]


def built(api_version: str, kind: str, tree: Tree) -> Any:
    group, _, version = api_version.rpartition("/")
    resource = for_kind(group, version, kind)
    assert resource is not None
    base = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}
    return resource, codec.from_tree(codec.struct_class(resource), base | tree)


def said(api_version: str, kind: str, tree: Tree, old: Tree | None = None) -> list[str]:
    resource, new = built(api_version, kind, tree)
    return list(warnings.of(resource, new, built(api_version, kind, old)[1] if old is not None else None))


def named(name: str, *, generation: int = 1, **annotations: str) -> Tree:
    return {"metadata": {"name": name, "generation": generation, "annotations": annotations}}


TWICE = {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}
HIDES = 'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'
LABEL = "a DNS label is recommended: ["
TEMPLATED = [
    ("apps/v1", "Deployment", "spec.template"),
    ("apps/v1", "ReplicaSet", "spec.template"),
    ("apps/v1", "DaemonSet", "spec.template"),
    ("apps/v1", "StatefulSet", "spec.template"),
    ("v1", "ReplicationController", "spec.template"),
    ("batch/v1", "Job", "spec.template"),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template"),
    ("v1", "PodTemplate", "template"),
]


def of_template(at: str) -> Tree:
    tree: Tree = {"spec": TWICE}
    for step in reversed(at.split(".")):
        tree = {step: tree}
    if at.startswith("spec.jobTemplate"):
        tree["spec"]["schedule"] = "* * * * *"
    return tree


@pytest.mark.parametrize(("api_version", "kind", "at"), TEMPLATED)
def test_templates_are_looked_at(api_version: str, kind: str, at: str) -> None:
    tree = of_template(at)
    assert said(api_version, kind, tree) == [f"{at}.{HIDES}"]
    if kind != "PodTemplate":
        assert said(api_version, kind, tree | named("x", generation=2), tree | named("x", generation=2)) == []
        assert said(api_version, kind, tree | named("x", generation=3), tree | named("x", generation=2))


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_pods_are_named_after_it(kind: str) -> None:
    tree = {"spec": {"template": {"spec": {"containers": []}}}} | named("a.b")
    (told,) = said("apps/v1", kind, tree)
    assert told.startswith("metadata.name: this is used in Pod names and hostnames, which can result in surprising")
    assert LABEL in told


def test_stateful_sets_keep_no_history_below_zero() -> None:
    claim = {"metadata": {"name": "d"}, "spec": {"resources": {"requests": {"storage": "1m"}}}}
    spec = {"template": {"spec": {"containers": []}}, "revisionHistoryLimit": -1, "volumeClaimTemplates": [claim]}
    amount = 'resources.requests[storage]: fractional byte value "1m" is invalid, must be an integer'
    history = (
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    )
    assert said("apps/v1", "StatefulSet", {"spec": spec}) == [f"spec.volumeClaimTemplates[0].{amount}", history]
    changed = {"spec": spec} | named("x", generation=2)
    assert said("apps/v1", "StatefulSet", changed, {"spec": spec}) == [
        f"spec.volumeClaimTemplates[0].Spec.{amount}",
        history,
    ]


def test_jobs_that_cannot_be_tracked() -> None:
    spec = {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001}
    spec |= {"template": {"spec": {"containers": []}}}
    (told,) = said("batch/v1", "Job", {"spec": spec})
    assert told.startswith("spec: In Indexed Jobs with a number of completions higher than 10^5")


def test_zones_in_schedules() -> None:
    spec = {"schedule": "TZ=UTC * * * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}}
    assert said("batch/v1", "CronJob", {"spec": spec}) == []
    (told,) = said("batch/v1", "CronJob", {"spec": spec}, {"spec": spec})
    assert told.startswith("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead")


SINGLE = [
    (
        ("v1", "Service"),
        {"spec": {"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "None", "loadBalancerIP": "1.1.1.1"}},
        "spec.loadBalancerIP is ignored for headless services",
    ),
    (
        ("v1", "Service"),
        {"spec": {"type": "ClusterIP", "externalIPs": ["1.1.1.1"]}},
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
    ),
    (
        ("v1", "Service"),
        {"spec": {"type": "ExternalName", "externalName": "a.b", "externalIPs": ["1.1.1.1"]}},
        'spec.externalIPs is ignored when spec.type is "ExternalName"',
    ),
    (
        ("v1", "Service"),
        {"spec": {"type": "ClusterIP", "externalName": "a.b"}},
        'spec.externalName is ignored when spec.type is not "ExternalName"',
    ),
    (
        ("v1", "Service"),
        {"spec": {"type": "ClusterIP", "trafficDistribution": "PreferClose"}},
        'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ),
    (
        ("v1", "Service"),
        {"spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8"]}},
        'spec.loadBalancerSourceRanges[0]: CIDR value "10.0.0.1/8" is ambiguous in this context (should be '
        '"10.0.0.0/8" or "10.0.0.1/32"?)',
    ),
    (
        ("v1", "Service"),
        named("x", **{"service.kubernetes.io/topology-aware-hints": "auto"}) | {"spec": {"type": "ClusterIP"}},
        "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
        "service.kubernetes.io/topology-mode instead",
    ),
    (
        ("v1", "Endpoints"),
        {"subsets": [{"notReadyAddresses": [{"ip": "::ffff:1.2.3.4"}]}]},
        'subsets[0].notReadyAddresses[0].ip: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a '
        'future Kubernetes release: use "1.2.3.4"',
    ),
    (
        ("discovery.k8s.io/v1", "EndpointSlice"),
        {"addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}]},
        "spec.addressType: FQDN endpoints are deprecated",
    ),
    (
        ("v1", "PersistentVolume"),
        {"spec": {"persistentVolumeReclaimPolicy": "Recycle"}},
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
        "approach is to use dynamic provisioning.",
    ),
    (
        ("v1", "PersistentVolume"),
        {"spec": {"cephfs": {"monitors": ["m"]}}},
        "spec.cephfs: deprecated in v1.28, non-functional in v1.31+",
    ),
    (
        ("v1", "PersistentVolumeClaim"),
        named("x", **{"volume.beta.kubernetes.io/storage-class": "a"}) | {"spec": {}},
        "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "
        '"storageClassName" attribute instead',
    ),
    (
        ("storage.k8s.io/v1", "StorageClass"),
        {"provisioner": "p", "allowedTopologies": [{"matchLabelExpressions": [{"key": "beta.kubernetes.io/os"}]}]},
        'allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.14; use "kubernetes.io/os" instead',
    ),
    (
        ("storage.k8s.io/v1", "CSIStorageCapacity"),
        {"storageClassName": "s", "nodeTopology": {"matchLabels": {"beta.kubernetes.io/os": "linux"}}},
        'nodeTopology.matchLabels.beta.kubernetes.io/os: deprecated since v1.14; use "kubernetes.io/os" instead',
    ),
    (
        ("node.k8s.io/v1", "RuntimeClass"),
        {"handler": "h", "scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}},
        'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead',
    ),
    (
        ("v1", "Node"),
        {"spec": {"externalID": "x"}},
        "spec.externalID: this field is deprecated, and is unused by Kubernetes",
    ),
    (
        ("v1", "ServiceAccount"),
        named("x", **{"kubernetes.io/enforce-mountable-secrets": "true"}),
        "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate "
        "namespaces to isolate access to mounted secrets",
    ),
    (
        ("networking.k8s.io/v1", "Ingress"),
        named("x", **{"kubernetes.io/ingress.class": "nginx"}),
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead",
    ),
    (
        ("networking.k8s.io/v1", "NetworkPolicy"),
        {"spec": {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "2001:DB8::/32"}}]}]}},
        'spec.egress[0].to[0].ipBlock.cidr: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format '
        '("2001:db8::/32")',
    ),
]


@pytest.mark.parametrize(("kind", "tree", "expected"), SINGLE)
def test_what_is_said(kind: tuple[str, str], tree: Tree, expected: str) -> None:
    assert said(*kind, tree) == [expected]


def test_what_our_controllers_write_is_not_looked_at() -> None:
    managed = {"name": "x", "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}}
    tree = {"addressType": "IPv6", "endpoints": [{"addresses": ["2001:DB8::1"]}]}
    assert said("discovery.k8s.io/v1", "EndpointSlice", tree)
    assert said("discovery.k8s.io/v1", "EndpointSlice", tree | {"metadata": managed}) == []


@pytest.mark.parametrize(
    ("value", "said_of_it"),
    [("10.0.0.1", 0), ("2001:db8::1", 0), ("2001:0db8::1", 1), ("::ffff:10.0.0.1", 1), ("nonsense", 0)],
)
def test_addresses(value: str, said_of_it: int) -> None:
    assert len(list(of_address("at", value))) == said_of_it


def test_networks() -> None:
    assert list(of_network("at", "10.0.0.0/8")) == list(of_network("at", "x")) == []
    assert list(of_network("at", "::ffff:10.0.0.0/104")) == [
        'at: non-standard CIDR value "::ffff:10.0.0.0/104" will be considered invalid in a future Kubernetes release: '
        'use "10.0.0.0/8"'
    ]


def test_finalizers_of_custom_objects() -> None:
    class Of:
        def __init__(self, *finalizers: str) -> None:
            self.metadata = meta.ObjectMeta(finalizers=finalizers)

    advice = "prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other"
    assert list(of_custom_object(Of("example.com/x", "orphan"), None)) == []
    assert list(of_custom_object(Of("example.com"), Of("example.com"))) == []
    (told,) = of_custom_object(Of("example.com"), None)
    assert told == f'metadata.finalizers: "example.com": {advice} finalizer writers'


def test_ingress_with_a_class_may_have_the_annotation() -> None:
    tree = named("x", **{"kubernetes.io/ingress.class": "nginx"}) | {"spec": {"ingressClassName": "nginx"}}
    assert said("networking.k8s.io/v1", "Ingress", tree) == []


def test_quota_of_more_requests_than_limits() -> None:
    hard = {"cpu": "3", "limits.cpu": "2", "memory": "1Gi", "requests.memory": "4Gi", "limits.memory": "2Gi"}
    tree = {"spec": {"hard": hard | {"requests.storage": "1Gi", "limits.ephemeral-storage": "1Gi"}}}
    assert said("v1", "ResourceQuota", tree) == [
        "ResourceQuota cpu (3) should be less than limits.cpu (2)",
        "ResourceQuota requests.memory (4Gi) should be less than limits.memory (2Gi)",
    ]
    assert said("v1", "ResourceQuota", tree, {"spec": {"hard": {}}}) == []


def definition(*formats: str) -> Tree:
    nested: Tree = {"type": "string"}
    for index, name in enumerate(formats):
        each = {"type": "string", "format": name}
        below: Tree = {"properties": {"a": each}} if index % 2 else {"items": {"allOf": [each]}}
        nested = {"additionalProperties": nested} | below
    unchecked = {"n": {"type": "integer", "format": "int-or-so"}, "x": nested}
    version = {"name": "v1", "served": True, "storage": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": unchecked}}
    names = {"plural": "xs", "singular": "x", "kind": "X", "listKind": "XList"}
    return {"spec": {"group": "g.io", "scope": "Cluster", "names": names, "versions": [version | {"schema": schema}]}}


def test_formats_of_definitions() -> None:
    tree = definition("semver", "date-time", "datetime", "k8s-short-name", "k8slongname", "colour")
    crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert sorted(said(*crd, tree)) == ['unrecognized format "colour"', 'unrecognized format "semver"']
    assert said(*crd, tree, definition("semver")) == ['unrecognized format "colour"']
    assert said(*crd, tree, tree) == []
