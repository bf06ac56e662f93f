"""What is said about pods and their templates that are taken all the same."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec, warnings
from podkeeper.api.resources import for_kind

Tree = dict[str, Any]
SELECTOR: Tree = {"matchLabels": {"a": "b"}}
MASTER = "node-role.kubernetes.io/master"


def said(spec: Tree, annotations: Tree | None = None, name: str = "p") -> list[str]:
    resource = for_kind("", "v1", "Pod")
    assert resource is not None
    base = {"containers": [{"name": "c", "image": "i"}]}
    metadata = {"name": name, "annotations": annotations or {}}
    obj = codec.from_tree(codec.struct_class(resource), {"metadata": metadata, "spec": base | spec})
    return list(warnings.of(resource, obj))


def with_container(**more: Any) -> Tree:
    return {"containers": [{"name": "c", "image": "i"} | more]}


def ports(*listed: Tree) -> Tree:
    return with_container(ports=[{"containerPort": 80, "protocol": "TCP"} | each for each in listed])


def volume(**source: Any) -> Tree:
    return {"volumes": [{"name": "v"} | source]}


DEPRECATED_LABELS = [
    (
        {"nodeSelector": {"beta.kubernetes.io/os": "linux", "kubernetes.io/os": "linux"}},
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": MASTER, "operator": "Exists"}]}]
                    }
                }
            }
        },
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
        f'matchExpressions[0].key: {MASTER} is use "node-role.kubernetes.io/control-plane" instead',
    ),
    (
        {"topologySpreadConstraints": [{"topologyKey": "beta.kubernetes.io/arch", "labelSelector": SELECTOR}]},
        "spec.topologySpreadConstraints[0].topologyKey: beta.kubernetes.io/arch is deprecated since v1.14; use "
        '"kubernetes.io/arch" instead',
    ),
]
SELECTORS = [
    (
        {"topologySpreadConstraints": [{"topologyKey": "zone"}]},
        "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
    ),
    (
        {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "z"}]}}},
        "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null "
        "labelSelector results in matching no pod",
    ),
    (
        {
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 1, "podAffinityTerm": {"topologyKey": "z"}}
                    ]
                }
            }
        },
        "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector"
        ": a null labelSelector results in matching no pod",
    ),
]
VOLUMES = [
    (
        volume(gitRepo={"repository": "r"}),
        "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
    ),
    (
        volume(rbd={"monitors": ["m"], "image": "i"}),
        "spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
    ),
    (
        volume(storageos={"volumeName": "x"}),
        "spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+",
    ),
    (
        volume(ephemeral={"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "200m"}}}}}),
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: fractional byte value "
        '"200m" is invalid, must be an integer',
    ),
    (
        volume(configMap={"name": "m", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]}),
        'volume "v" (ConfigMap "m"): overlapping paths: "x/y" with "x"',
    ),
    (
        volume(
            projected={
                "sources": [
                    {"serviceAccountToken": {"path": "t"}},
                    {"secret": {"name": "s", "items": [{"key": "a", "path": "t/"}]}},
                ]
            }
        ),
        'volume "v" (Projected): overlapping paths: "t" (Secret "s") with "t" (ServiceAccountToken)',
    ),
    (volume(projected={"sources": [{}]}), 'volume "v" (Projected) has no sources provided'),
]
REPEATED = [
    (
        {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]},
        'spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
    ),
    (
        {"imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
        'spec.imagePullSecrets[1].name: duplicate name "a"',
    ),
    ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
    (
        with_container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ),
    (
        with_container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)"}]),
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ),
    (ports({}, {}), "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"),
    (
        ports({}, {"hostPort": 80}),
        "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
    ),
    (
        ports({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80}),
        "spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]",
    ),
    (
        ports({"hostIP": "1.1.1.1"}),
        "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP "
        "HostIP:1.1.1.1}",
    ),
    (
        ports({"name": "web"}, {"name": "web", "containerPort": 81}),
        'spec.containers[0].ports[1]: duplicate port name "web" with spec.containers[0].ports[0], services and probes '
        "that select ports by name will use spec.containers[0].ports[0]",
    ),
]
AMOUNTS = [
    (
        with_container(resources={"requests": {"memory": "1500m"}}),
        'spec.containers[0].resources.requests[memory]: fractional byte value "1500m" is invalid, must be an integer',
    ),
    (
        {"overhead": {"ephemeral-storage": "1m"}},
        'spec.overhead[ephemeral-storage]: fractional byte value "1m" is invalid, must be an integer',
    ),
    (
        {"terminationGracePeriodSeconds": -1},
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
    ),
    (
        {"dnsConfig": {"nameservers": ["2001:DB8::1"]}},
        'spec.dnsConfig.nameservers[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
        '("2001:db8::1")',
    ),
]


@pytest.mark.parametrize(("spec", "expected"), DEPRECATED_LABELS + SELECTORS + VOLUMES + REPEATED + AMOUNTS)
def test_what_is_said(spec: Tree, expected: str) -> None:
    assert said(spec) == [expected]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        with_container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]),
        with_container(resources={"requests": {"memory": "1Gi", "cpu": "10m"}}),
        ports({}, {"protocol": "UDP"}),
        ports({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80, "hostIP": "1.1.1.2"}),
        volume(configMap={"name": "m", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "xy"}]}),
        volume(downwardAPI={"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}),
        {"dnsConfig": {"nameservers": ["2001:db8::1", "10.0.0.1"]}},
    ],
)
def test_what_is_not_worth_a_word(spec: Tree) -> None:
    assert said(spec) == []


def test_annotations_in_place_of_fields() -> None:
    annotations = {
        "scheduler.alpha.kubernetes.io/critical-pod": "",
        "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/c": "unconfined",
    }
    head = "metadata.annotations"
    assert said({}, annotations) == [
        f'{head}[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" '
        "field instead",
        f'{head}[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field '
        "instead",
        f'{head}[container.seccomp.security.alpha.kubernetes.io/c]: non-functional in v1.27+; use the "seccompProfile" '
        "field instead",
    ]
    profile = {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}
    assert len(said(profile | with_container(**profile), annotations)) == 1


def test_names_that_are_no_host_names() -> None:
    (told,) = said({}, name="a.b")
    why = "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: "
    assert told.startswith(f"metadata.name: {why}[")
    assert told.endswith("]")
