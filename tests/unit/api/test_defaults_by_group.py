"""The smallest useful manifest of each kind that has defaults, group by group, and the whole that it becomes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podkeeper.api import defaults

Tree = dict[str, Any]

POD: Tree = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
CONTAINER: Tree = {"name": "c", "image": "i:1"}
FULL_CONTAINER = CONTAINER | {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
TEMPLATE: Tree = {"template": {"spec": {"containers": [CONTAINER]}}}
FULL_TEMPLATE: Tree = {"template": {"spec": POD | {"containers": [FULL_CONTAINER]}}}
RULE: Tree = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
MATCH: Tree = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}

Case = tuple[str, Tree, Tree]

CORE: list[Case] = [
    (
        "Pod",
        {"spec": {"containers": [CONTAINER]}},
        {"spec": POD | {"containers": [FULL_CONTAINER], "enableServiceLinks": True}},
    ),
    ("PodTemplate", TEMPLATE, FULL_TEMPLATE),
    ("ReplicationController", {"spec": TEMPLATE}, {"spec": FULL_TEMPLATE | {"replicas": 1}}),
    (
        "Service",
        {"spec": {"type": "NodePort", "ports": [{"port": 80}]}},
        {
            "spec": {
                "type": "NodePort",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "sessionAffinity": "None",
                "externalTrafficPolicy": "Cluster",
                "internalTrafficPolicy": "Cluster",
            }
        },
    ),
    ("Endpoints", {"subsets": [{"ports": [{"port": 1}]}]}, {"subsets": [{"ports": [{"port": 1, "protocol": "TCP"}]}]}),
    ("Secret", {}, {"type": "Opaque"}),
    (
        "PersistentVolume",
        {"spec": {"hostPath": {"path": "/x"}}},
        {
            "spec": {
                "hostPath": {"path": "/x", "type": ""},
                "persistentVolumeReclaimPolicy": "Retain",
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Pending"},
        },
    ),
    ("PersistentVolumeClaim", {"spec": {}}, {"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}),
    (
        "Node",
        {"status": {"capacity": {"cpu": "1"}}},
        {"status": {"capacity": {"cpu": "1"}, "allocatable": {"cpu": "1"}}},
    ),
    (
        "Namespace",
        {"metadata": {"name": "n"}},
        {"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}}},
    ),
    (
        "LimitRange",
        {"spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}}]}},
        {"spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2"}}]}},
    ),
]
APPS: list[Case] = [
    (
        "Deployment",
        {"spec": TEMPLATE},
        {
            "spec": FULL_TEMPLATE
            | {
                "replicas": 1,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            }
        },
    ),
    ("ReplicaSet", {"spec": TEMPLATE}, {"spec": FULL_TEMPLATE | {"replicas": 1}}),
    (
        "DaemonSet",
        {"spec": TEMPLATE},
        {
            "spec": FULL_TEMPLATE
            | {
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
                "revisionHistoryLimit": 10,
            }
        },
    ),
    (
        "StatefulSet",
        {"spec": TEMPLATE},
        {
            "spec": FULL_TEMPLATE
            | {
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
                "revisionHistoryLimit": 10,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            }
        },
    ),
]
BATCH: list[Case] = [
    (
        "Job",
        {"spec": TEMPLATE},
        {
            "spec": FULL_TEMPLATE
            | {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
                "manualSelector": False,
            }
        },
    ),
    (
        "CronJob",
        {"spec": {"jobTemplate": {"spec": TEMPLATE}}},
        {
            "spec": {
                "jobTemplate": {"spec": FULL_TEMPLATE},
                "concurrencyPolicy": "Allow",
                "suspend": False,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 1,
            }
        },
    ),
]
ADMISSION: list[Case] = [
    (
        "MutatingWebhookConfiguration",
        {"webhooks": [{"clientConfig": {"service": {}}, "rules": [RULE]}]},
        {
            "webhooks": [
                MATCH
                | {
                    "clientConfig": {"service": {"port": 443}},
                    "rules": [RULE | {"scope": "*"}],
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 10,
                    "reinvocationPolicy": "Never",
                }
            ]
        },
    ),
    (
        "ValidatingWebhookConfiguration",
        {"webhooks": [{"clientConfig": {"url": "https://example.com"}}]},
        {
            "webhooks": [
                MATCH | {"clientConfig": {"url": "https://example.com"}, "failurePolicy": "Fail", "timeoutSeconds": 10}
            ]
        },
    ),
    (
        "ValidatingAdmissionPolicy",
        {"spec": {"matchConstraints": {"resourceRules": [RULE]}}},
        {"spec": {"matchConstraints": MATCH | {"resourceRules": [RULE | {"scope": "*"}]}, "failurePolicy": "Fail"}},
    ),
    (
        "MutatingAdmissionPolicy",
        {"spec": {"matchConstraints": {"excludeResourceRules": [RULE]}}},
        {
            "spec": {
                "matchConstraints": MATCH | {"excludeResourceRules": [RULE | {"scope": "*"}]},
                "failurePolicy": "Fail",
            }
        },
    ),
    ("ValidatingAdmissionPolicyBinding", {"spec": {"matchResources": {}}}, {"spec": {"matchResources": MATCH}}),
    ("MutatingAdmissionPolicyBinding", {"spec": {"policyName": "p"}}, {"spec": {"policyName": "p"}}),
]
FLOW: list[Case] = [
    ("FlowSchema", {}, {"spec": {"matchingPrecedence": 1000}}),
    (
        "PriorityLevelConfiguration",
        {"spec": {"limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}},
        {
            "spec": {
                "limited": {
                    "nominalConcurrencyShares": 30,
                    "lendablePercent": 0,
                    "limitResponse": {
                        "type": "Queue",
                        "queuing": {"handSize": 8, "queues": 64, "queueLengthLimit": 50},
                    },
                }
            }
        },
    ),
    (
        "PriorityLevelConfiguration",
        {"spec": {"exempt": {}}},
        {"spec": {"exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}},
    ),
]
STORAGE: list[Case] = [
    ("StorageClass", {}, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
    (
        "CSIDriver",
        {},
        {
            "spec": {
                "attachRequired": True,
                "podInfoOnMount": False,
                "storageCapacity": False,
                "requiresRepublish": False,
                "seLinuxMount": False,
                "fsGroupPolicy": "ReadWriteOnceWithFSType",
                "volumeLifecycleModes": ["Persistent"],
            }
        },
    ),
]
NETWORKING: list[Case] = [
    (
        "IngressClass",
        {"spec": {"parameters": {"kind": "K"}}},
        {"spec": {"parameters": {"kind": "K", "scope": "Cluster"}}},
    ),
    ("NetworkPolicy", {"spec": {}}, {"spec": {"policyTypes": ["Ingress"]}}),
    ("Ingress", {"spec": {"rules": [{}]}}, {"spec": {"rules": [{}]}}),
]
DEVICES: list[Case] = [
    (
        "ResourceClaim",
        {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}},
        {
            "spec": {
                "devices": {
                    "requests": [
                        {"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}}
                    ]
                }
            }
        },
    ),
]
GROUPS: list[tuple[str, str, list[Case]]] = [
    ("", "v1", CORE),
    ("apps", "v1", APPS),
    ("batch", "v1", BATCH),
    ("admissionregistration.k8s.io", "v1", ADMISSION),
    ("flowcontrol.apiserver.k8s.io", "v1", FLOW),
    ("storage.k8s.io", "v1", STORAGE),
    ("networking.k8s.io", "v1", NETWORKING),
    ("resource.k8s.io", "v1", DEVICES),
    ("scheduling.k8s.io", "v1", [("PriorityClass", {}, {"preemptionPolicy": "PreemptLowerPriority"})]),
    (
        "apiregistration.k8s.io",
        "v1",
        [("APIService", {"spec": {"service": {}}}, {"spec": {"service": {"port": 443}}})],
    ),
    ("authentication.k8s.io", "v1", [("TokenRequest", {}, {"spec": {"expirationSeconds": 3600}})]),
    (
        "discovery.k8s.io",
        "v1",
        [("EndpointSlice", {"ports": [{"port": 1}]}, {"ports": [{"port": 1, "name": "", "protocol": "TCP"}]})],
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        [
            (
                "RoleBinding",
                {"roleRef": {}, "subjects": [{"kind": "Group"}, {"kind": "ServiceAccount"}]},
                {
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io"},
                    "subjects": [
                        {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io"},
                        {"kind": "ServiceAccount"},
                    ],
                },
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("group", "version", "kind", "given", "whole"),
    [(group, version, *case) for group, version, cases in GROUPS for case in cases],
)
def test_a_small_manifest_becomes_whole(group: str, version: str, kind: str, given: Tree, whole: Tree) -> None:
    tree = copy.deepcopy(given)
    defaults.apply_kind(group, version, kind, tree)
    assert tree == whole
