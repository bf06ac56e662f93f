"""Flow control, events, autoscalers, address ranges, ingress and statuses that are refused, in upstream's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podkeeper.api.validation.flowcontrol import entropy_bits

Judge = Callable[..., list[tuple[str, str]]]
FLOW, NETWORK = "flowcontrol.apiserver.k8s.io/v1", "networking.k8s.io/v1"


def kind(api_version: str, name: str, body: dict[str, Any], called: str = "x") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": name, "metadata": {"name": called}} | body


RULE = {
    "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "n"}}],
    "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/healthz", "/a/*"]}],
}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
WEB = {"service": {"name": "1-web", "port": {"number": 80}}}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
BASES = {
    "schema": kind(FLOW, "FlowSchema", {"spec": {"priorityLevelConfiguration": {"name": "p"}, "rules": [RULE]}}),
    "level": kind(
        FLOW,
        "PriorityLevelConfiguration",
        {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": 64}}}}},
    ),
    "event": kind("v1", "Event", {"involvedObject": {"kind": "Pod", "namespace": "n", "name": "p"}, "reason": "R"}),
    "new event": kind(
        "events.k8s.io/v1",
        "Event",
        {
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "regarding": {"kind": "Pod", "namespace": "n", "name": "p"},
            "reportingController": "example.com/c",
            "reportingInstance": "c-0",
            "action": "Binding",
            "reason": "Scheduled",
            "type": "Normal",
        },
    ),
    "autoscaler": kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                "metrics": [CPU],
                "behavior": {"scaleDown": {}},
            }
        },
    ),
    "address": kind(
        NETWORK,
        "IPAddress",
        {"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}},
        "192.0.2.1",
    ),
    "range": kind(NETWORK, "ServiceCIDR", {"spec": {"cidrs": ["10.0.0.0/24"]}}),
    "ingress": kind(
        NETWORK,
        "Ingress",
        {"spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": WEB}]}}]}},
    ),
    "class": kind(
        NETWORK,
        "IngressClass",
        {"spec": {"controller": "example.com/c", "parameters": {"kind": "Config", "name": "c"}}},
    ),
    "policy": kind(
        NETWORK,
        "NetworkPolicy",
        {
            "spec": {
                "podSelector": {},
                "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
            }
        },
    ),
    "deployment": kind(
        "apps/v1", "Deployment", {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}}
    ),
    "pod": kind("v1", "Pod", {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}),
}
QUEUING = "spec.limited.limitResponse.queuing"
PATH = "spec.rules[0].http.paths[0]"
CASES: list[tuple[str, str, Any, str, str]] = [
    (
        "schema",
        "spec.matchingPrecedence",
        1,
        "spec.matchingPrecedence",
        "Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
    ),
    (
        "schema",
        "spec.matchingPrecedence",
        10001,
        "spec.matchingPrecedence",
        "Invalid value: 10001: must not be greater than 10000",
    ),
    (
        "schema",
        "spec.priorityLevelConfiguration.name",
        "",
        "spec.priorityLevelConfiguration.name",
        "Required value: must reference a priority level",
    ),
    (
        "schema",
        "spec.rules.0.subjects",
        [],
        "spec.rules[0].subjects",
        "Required value: subjects must contain at least one value",
    ),
    (
        "schema",
        "spec.rules.0.subjects.0.serviceAccount",
        None,
        "spec.rules[0].subjects[0].serviceAccount",
        "Required value: serviceAccount is required when subject kind is 'ServiceAccount'",
    ),
    (
        "schema",
        "spec.rules.0.subjects.0.user",
        {"name": "u"},
        "spec.rules[0].subjects[0].user",
        "Forbidden: user is forbidden when subject kind is not 'User'",
    ),
    (
        "schema",
        "spec.rules.0.resourceRules.0.verbs",
        ["*", "get"],
        "spec.rules[0].resourceRules[0].verbs",
        'Invalid value: ["*","get"]: if \'*\' is present, must not specify other verbs',
    ),
    (
        "schema",
        "spec.rules.0.resourceRules.0.namespaces",
        None,
        "spec.rules[0].resourceRules[0].namespaces",
        "Required value: resource rules that are not cluster scoped must supply at least one namespace",
    ),
    (
        "schema",
        "spec.rules.0.nonResourceRules.0.nonResourceURLs",
        ["/a*"],
        "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]",
        'Invalid value: "/a*": wildcard can only do suffix matching',
    ),
    (
        "level",
        "spec.type",
        "Exempt",
        "spec.type",
        "Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
    ),
    (
        "level",
        "spec.limited.lendablePercent",
        101,
        "spec.limited.lendablePercent",
        "Invalid value: 101: must be between 0 and 100, inclusive",
    ),
    (
        "level",
        f"{QUEUING}.handSize",
        65,
        f"{QUEUING}.handSize",
        "Invalid value: 65: should not be greater than queues (64)",
    ),
    (
        "level",
        f"{QUEUING}.handSize",
        12,
        f"{QUEUING}.handSize",
        "Invalid value: 12: required entropy bits of deckSize 64 and handSize 12 should not be greater than 60",
    ),
    (
        "event",
        "involvedObject.namespace",
        "other",
        "involvedObject.namespace",
        'Invalid value: "other": does not match event.namespace',
    ),
    ("new event", "action", None, "action", "Required value"),
    (
        "new event",
        "reportingInstance",
        "x" * 129,
        "reportingInstance",
        'Invalid value: "": can have at most 128 characters',
    ),
    ("new event", "type", "Odd", "type", 'Invalid value: "": has invalid value: Odd'),
    ("new event", "deprecatedCount", 2, "count", 'Invalid value: "": needs to be unset'),
    (
        "autoscaler",
        "spec.minReplicas",
        0,
        "spec.minReplicas",
        "Invalid value: 0: must be greater than or equal to 1",
    ),
    (
        "autoscaler",
        "spec.metrics.0.resource.target.averageUtilization",
        0,
        "spec.metrics[0].resource.target.averageUtilization",
        "Invalid value: 0: must be greater than 0",
    ),
    (
        "autoscaler",
        "spec.metrics.0.resource",
        None,
        "spec.metrics[0].resource",
        "Required value: must populate information for the given metric source",
    ),
    (
        "autoscaler",
        "spec.metrics.0.resource.target.type",
        "Most",
        "spec.metrics[0].resource.target.type",
        'Invalid value: "Most": must be either Utilization, Value, or AverageValue',
    ),
    (
        "autoscaler",
        "spec.behavior.scaleDown.policies",
        [],
        "spec.behavior.scaleDown.policies",
        "Required value: must specify at least one Policy",
    ),
    (
        "autoscaler",
        "spec.behavior.scaleDown.stabilizationWindowSeconds",
        3601,
        "spec.behavior.scaleDown.stabilizationWindowSeconds",
        "Invalid value: 3601: must be less than or equal to 3600",
    ),
    (
        "address",
        "metadata.name",
        "192.0.2.300",
        "metadata.name",
        'Invalid value: "192.0.2.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ),
    ("address", "spec.parentRef.resource", "", "spec.parentRef.resource", "Required value"),
    ("range", "spec.cidrs", [], "spec.cidrs", "Required value: at least one CIDR required"),
    (
        "range",
        "spec.cidrs",
        ["10.0.0.1/24"],
        "spec.cidrs[0]",
        'Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length',
    ),
    (
        "range",
        "spec.cidrs",
        ["10.0.0.0/24", "10.1.0.0/24"],
        "spec.cidrs",
        'Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one IP for each IP family, i.e '
        "192.168.0.0/24 and 2001:db8::/64",
    ),
    (
        "ingress",
        "spec.rules.0.http.paths.0.path",
        "/a/..",
        f"{PATH}.path",
        "Invalid value: \"/a/..\": cannot end with '/..'",
    ),
    (
        "ingress",
        "spec.rules.0.http.paths.0.backend",
        {},
        f"{PATH}.backend",
        'Invalid value: "": resource or service backend is required',
    ),
    (
        "ingress",
        "spec.rules.0.http.paths.0.pathType",
        None,
        f"{PATH}.pathType",
        "Required value: pathType must be specified",
    ),
    (
        "class",
        "spec.controller",
        "nginx",
        "spec.controller",
        'Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")',
    ),
    ("class", "spec.parameters.name", "", "spec.parameters.name", "Required value"),
    (
        "class",
        "spec.parameters.namespace",
        "n",
        "spec.parameters.namespace",
        "Forbidden: `parameters.scope` is set to 'Cluster'",
    ),
    (
        "policy",
        "spec.egress.0.to.0.ipBlock.except",
        ["11.0.0.0/16"],
        "spec.egress[0].to[0].ipBlock.except[0]",
        'Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    ),
    (
        "policy",
        "spec.egress.0.ports",
        [{"endPort": 5}],
        "spec.egress[0].ports[0].endPort",
        "Invalid value: 5: may not be specified when `port` is not specified",
    ),
]
STATUSES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("deployment", {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, []),
    (
        "deployment",
        {"replicas": 1, "updatedReplicas": 2},
        [("status.updatedReplicas", "Invalid value: 2: cannot be greater than status.replicas")],
    ),
    (
        "deployment",
        {"replicas": 1, "availableReplicas": 1},
        [("status.availableReplicas", "Invalid value: 1: cannot be greater than readyReplicas")],
    ),
    (
        "deployment",
        {"observedGeneration": -1},
        [("status.observedGeneration", "Invalid value: -1: must be greater than or equal to 0")],
    ),
    (
        "ingress",
        {"loadBalancer": {"ingress": [{"hostname": "192.0.2.1"}]}},
        [
            (
                "status.loadBalancer.ingress[0].hostname",
                'Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
            )
        ],
    ),
]


@pytest.mark.parametrize("name", BASES)
def test_the_plain_kind_is_good(on_create: Judge, name: str) -> None:
    assert on_create(BASES[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "field", "message"), CASES)
def test_a_mistake_names_its_field(
    on_create: Judge, name: str, path: str, value: object, field: str, message: str
) -> None:
    assert (field, message) in on_create(BASES[name], path, value)


@pytest.mark.parametrize(("name", "status", "mistakes"), STATUSES)
def test_a_status_makes_sense(
    on_update: Judge, name: str, status: dict[str, Any], mistakes: list[tuple[str, str]]
) -> None:
    assert on_update(BASES[name], "status", status, "status") == mistakes


def test_an_ended_container_stays_ended_where_nothing_restarts_it(on_update: Judge) -> None:
    def state(name: str) -> list[dict[str, Any]]:
        return [
            {
                "name": "c",
                "image": "i",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {name: {"exitCode": 0} if name == "terminated" else {}},
            }
        ]

    ended = BASES["pod"] | {"status": {"containerStatuses": state("terminated")}}
    refused = [("status.containerStatuses[0].state", "Forbidden: may not be transitioned to non-terminated state")]
    assert on_update(ended, "status.containerStatuses", state("running"), "status") == refused
    always = ended | {"spec": ended["spec"] | {"restartPolicy": "Always"}}
    assert on_update(always, "status.containerStatuses", state("running"), "status") == []


def test_a_range_stays_and_the_other_family_may_join(on_update: Judge) -> None:
    at = "spec.cidrs"
    assert on_update(BASES["range"], at, ["10.0.0.0/24", "2001:db8::/64"]) == []
    assert on_update(BASES["range"], at, ["10.1.0.0/24"]) == [
        ("spec.cidrs[0]", 'Invalid value: "10.1.0.0/24": field is immutable')
    ]
    assert on_update(BASES["range"], at, []) == [("spec.cidrs", "Invalid value: []: field is immutable")]


@pytest.mark.parametrize(("queues", "hand", "bits"), [(64, 1, 6), (64, 8, 48), (1, 1, 0), (512, 8, 72)])
def test_a_hand_of_queues_takes_bits(queues: int, hand: int, bits: int) -> None:
    assert entropy_bits(queues, hand) == bits
