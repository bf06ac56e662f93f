"""Workloads and claims that are refused, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec, defaults, resources
from podkeeper.api.validation import cron, validate_create, validate_update

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
ONCE = {"metadata": {"labels": {"a": "b"}}, "spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}  # type: ignore[operator]
BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Deployment": ("apps", {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}),
    "ReplicaSet": ("apps", {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}),
    "DaemonSet": ("apps", {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}),
    "StatefulSet": ("apps", {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE, "serviceName": "s"}),
    "ReplicationController": ("", {"selector": {"a": "b"}, "template": TEMPLATE}),
    "Job": ("batch", {"selector": {"matchLabels": {"a": "b"}}, "template": ONCE}),
    "CronJob": ("batch", {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": ONCE}}}),
    "PersistentVolumeClaim": ("", CLAIM),
}


def build(kind: str, spec: dict[str, Any], status: dict[str, Any] | None = None) -> tuple[Any, Any]:
    group, base = BASES[kind]
    row = resources.for_kind(group, "v1", kind)
    assert row is not None
    tree: dict[str, Any] = {
        "apiVersion": row.api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {key: value for key, value in (base | spec).items() if value is not None},
        "status": status or {},
    }
    defaults.apply(row, tree)
    return row, codec.from_tree(codec.struct_class(row), tree)


def mistakes(kind: str, **spec: Any) -> list[tuple[str, str]]:
    row, obj = build(kind, spec)
    return [(cause.field, cause.message) for cause in validate_create(row, {}, obj)]


def changes(kind: str, old: dict[str, Any], new: dict[str, Any], status: Any = None) -> list[tuple[str, str]]:
    row, before = build(kind, old, status)
    _, after = build(kind, new, status)
    return [(cause.field, cause.message) for cause in validate_update(row, after, before)]


@pytest.mark.parametrize("kind", BASES)
def test_the_plain_kind_is_good(kind: str) -> None:
    assert mistakes(kind) == []


def test_a_set_mounts_its_claims() -> None:
    mounting = {"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}
    template = TEMPLATE | {"spec": {"containers": [mounting]}}
    claim = {"metadata": {"name": "data"}, "spec": CLAIM}
    assert mistakes("StatefulSet", template=template, volumeClaimTemplates=[claim]) == []
    assert mistakes("StatefulSet", template=template) == [
        ("spec.template.spec.containers[0].volumeMounts[0].name", 'Not found: "data"')
    ]


OTHER = {"matchLabels": {"a": "c"}}
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "Deployment",
        {"selector": OTHER},
        "spec.template.metadata.labels",
        'Invalid value: {"a":"b"}: `selector` does not match template `labels`',
    ),
    (
        "DaemonSet",
        {"selector": None},
        "spec.template.metadata.labels",
        'Invalid value: {"a":"b"}: `selector` does not match template `labels`',
    ),
    (
        "DaemonSet",
        {"template": TEMPLATE | {"spec": TEMPLATE["spec"] | {"activeDeadlineSeconds": 5}}},
        "spec.template.spec.activeDeadlineSeconds",
        "Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
    ),
    (
        "Job",
        {"completionMode": "Sorted"},
        "spec.completionMode",
        'Unsupported value: "Sorted": supported values: "NonIndexed", "Indexed"',
    ),
    (
        "Job",
        {"managedBy": "me"},
        "spec.managedBy",
        'Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")',
    ),
    (
        "Job",
        {"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1, "maxFailedIndexes": 3},
        "spec.maxFailedIndexes",
        "Invalid value: 3: must be less than or equal to completions",
    ),
    (
        "Job",
        {"podFailurePolicy": {"rules": [{"action": "FailJob"}]}},
        "spec.podFailurePolicy.rules[0]",
        "Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
    ),
    (
        "Job",
        {"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 1]}}]}},
        "spec.podFailurePolicy.rules[0].onExitCodes.values",
        "Invalid value: [2,1]: must be ordered",
    ),
    (
        "Job",
        {"podFailurePolicy": {"rules": [{"action": "FailIndex", "onPodConditions": [{"type": "A"}]}]}},
        "spec.podFailurePolicy.rules[0].action",
        'Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
    ),
    (
        "Job",
        {"completionMode": "Indexed", "completions": 2, "successPolicy": {"rules": []}},
        "spec.successPolicy.rules",
        "Required value: at least one rules must be specified when the successPolicy is specified",
    ),
    ("ReplicaSet", {"selector": {}}, "spec.selector", "Invalid value: {}: empty selector is invalid for deployment"),
    ("Deployment", {"replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
    (
        "Deployment",
        {"template": TEMPLATE | {"spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}},  # type: ignore[operator]
        "spec.template.spec.restartPolicy",
        'Unsupported value: "Never": supported values: "Always"',
    ),
    (
        "Deployment",
        {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
        "spec.strategy.rollingUpdate",
        "Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ),
    (
        "Deployment",
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
        "spec.strategy.rollingUpdate.maxUnavailable",
        "Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    (
        "Deployment",
        {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
        "spec.progressDeadlineSeconds",
        "Invalid value: 5: must be greater than minReadySeconds",
    ),
    (
        "DaemonSet",
        {"updateStrategy": {"type": "Soon"}},
        "spec.updateStrategy.type",
        'Unsupported value: "Soon": supported values: "RollingUpdate", "OnDelete"',
    ),
    (
        "StatefulSet",
        {"podManagementPolicy": "Wild"},
        "spec.podManagementPolicy",
        "Invalid value: \"Wild\": must be 'OrderedReady' or 'Parallel'",
    ),
    (
        "Job",
        {"template": TEMPLATE},
        "spec.template.spec.restartPolicy",
        'Required value: valid values: "OnFailure", "Never"',
    ),
    (
        "CronJob",
        {"schedule": "* * * *"},
        "spec.schedule",
        'Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
    ),
    (
        "CronJob",
        {"timeZone": "Mars/Olympus"},
        "spec.timeZone",
        'Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
    ),
    (
        "PersistentVolumeClaim",
        {"accessModes": []},
        "spec.accessModes",
        "Required value: at least 1 access mode is required",
    ),
    ("PersistentVolumeClaim", {"resources": {}}, "spec.resources[storage]", "Required value"),
]


@pytest.mark.parametrize(("kind", "spec", "field", "message"), CASES)
def test_a_mistake_names_its_field(kind: str, spec: dict[str, Any], field: str, message: str) -> None:
    assert mistakes(kind, **spec) == [(field, message)]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_the_selector_stays(kind: str) -> None:
    template = TEMPLATE | {"metadata": {"labels": {"a": "b", "c": "d"}}}
    new = {"template": template, "selector": {"matchLabels": {"c": "d"}}}
    assert changes(kind, {}, new) == [("spec.selector", 'Invalid value: {"matchLabels":{"c":"d"}}: field is immutable')]
    assert changes(kind, {}, {"template": template}) == []


def test_what_may_change_in_sets_and_jobs() -> None:
    assert changes("StatefulSet", {}, {"replicas": 7}) == []
    [(field, message)] = changes("StatefulSet", {}, {"serviceName": "t"})
    assert field == "spec"
    assert message.startswith("Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals',")
    assert changes("Job", {"completions": 1}, {"completions": 1, "parallelism": 3}) == []
    assert changes("Job", {"completions": 1}, {"completions": 2}) == [
        ("spec.completions", "Invalid value: 2: field is immutable")
    ]


def test_claims_grow_and_are_bound() -> None:
    more = {"resources": {"requests": {"storage": "2Gi"}}}
    assert changes("PersistentVolumeClaim", {}, {"volumeName": "v"}) == []
    assert changes("PersistentVolumeClaim", {}, more, {"phase": "Bound"}) == []
    [(field, message)] = changes("PersistentVolumeClaim", {}, more)
    assert (field, message.startswith("Forbidden: spec is immutable after creation except")) == ("spec", True)


@pytest.mark.parametrize(
    "schedule", ["* * * * *", "0 0 1 jan mon-fri", "*/5,7 1-5/2 ? * 0", "@hourly", "@every 1h30m", "5/15 * * * *"]
)
def test_schedules(schedule: str) -> None:
    assert cron.mistake(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@never", "unrecognized descriptor: @never"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
def test_schedules_that_are_none(schedule: str, message: str) -> None:
    assert cron.mistake(schedule) == message


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet"])
def test_without_a_selector_no_pod_is_found(kind: str) -> None:
    assert mistakes(kind, selector=None) == [
        ("spec.selector", "Required value"),
        ("spec.template.metadata.labels", 'Invalid value: {"a":"b"}: `selector` does not match template `labels`'),
    ]
