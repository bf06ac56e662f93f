"""Defaults of the kinds other than Pod, one case per rule; and that defaulting is idempotent for every kind."""

from typing import Any

import pytest

from podkeeper.api import codec, defaults
from podkeeper.api.patches.trees import copied
from podkeeper.api.resources import RESOURCES


def made(group: str, version: str, kind: str, tree: dict[str, Any]) -> dict[str, Any]:
    defaults.apply_kind(group, version, kind, tree)
    return tree


def test_deployment() -> None:
    spec = made("apps", "v1", "Deployment", {"spec": {}})["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert made("apps", "v1", "Deployment", {"spec": {"replicas": 0}})["spec"]["replicas"] == 0


def test_recreating_deployments_roll_nothing() -> None:
    spec = made("apps", "v1", "Deployment", {"spec": {"strategy": {"type": "Recreate"}}})["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


def test_daemon_set_and_stateful_set() -> None:
    daemon = made("apps", "v1", "DaemonSet", {"spec": {}})["spec"]
    assert daemon["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    stateful = made("apps", "v1", "StatefulSet", {"spec": {"volumeClaimTemplates": [{}]}})["spec"]
    assert stateful["podManagementPolicy"] == "OrderedReady"
    assert stateful["updateStrategy"]["rollingUpdate"]["partition"] == 0
    assert stateful["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert stateful["volumeClaimTemplates"][0]["spec"]["volumeMode"] == "Filesystem"


def test_job_and_cron_job() -> None:
    job = made("batch", "v1", "Job", {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})
    assert job["metadata"]["labels"] == {"a": "b"}
    assert {key: job["spec"][key] for key in ("completions", "parallelism", "backoffLimit")} == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
    }
    assert job["spec"]["podReplacementPolicy"] == "TerminatingOrFailed"
    queue = made("batch", "v1", "Job", {"spec": {"parallelism": 2}})["spec"]
    assert "completions" not in queue
    cron = made("batch", "v1", "CronJob", {"spec": {}})["spec"]
    assert (cron["concurrencyPolicy"], cron["successfulJobsHistoryLimit"], cron["suspend"]) == ("Allow", 3, False)
    assert cron["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    assert "backoffLimit" not in cron["jobTemplate"]["spec"]


def test_service() -> None:
    spec = made("", "v1", "Service", {"spec": {"ports": [{"port": 80}, {"port": 1, "targetPort": "web"}]}})["spec"]
    assert spec["ports"] == [
        {"port": 80, "protocol": "TCP", "targetPort": 80},
        {"port": 1, "protocol": "TCP", "targetPort": "web"},
    ]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert "externalTrafficPolicy" not in spec
    balanced = made("", "v1", "Service", {"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP"}})["spec"]
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] == 10800
    named = made("", "v1", "Service", {"spec": {"type": "ExternalName"}})["spec"]
    assert "internalTrafficPolicy" not in named


def test_core_kinds() -> None:
    assert made("", "v1", "Secret", {})["type"] == "Opaque"
    labels = made("", "v1", "Namespace", {"metadata": {"name": "n"}})["metadata"]["labels"]
    assert labels == {"kubernetes.io/metadata.name": "n"}
    node = made("", "v1", "Node", {"status": {"capacity": {"cpu": "2"}}})
    assert node["status"]["allocatable"] == {"cpu": "2"}
    controller = made("", "v1", "ReplicationController", {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})
    assert controller["spec"]["selector"] == controller["metadata"]["labels"] == {"a": "b"}
    volume = made("", "v1", "PersistentVolume", {"spec": {"iscsi": {}}})["spec"]
    assert (volume["persistentVolumeReclaimPolicy"], volume["iscsi"]["iscsiInterface"]) == ("Retain", "default")


def test_limit_range() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    spec = made("", "v1", "LimitRange", {"spec": {"limits": [item]}})["spec"]
    assert spec["limits"][0]["default"] == {"cpu": "2"}
    assert spec["limits"][0]["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_autoscalers() -> None:
    spec = made("autoscaling", "v2", "HorizontalPodAutoscaler", {"spec": {"behavior": {"scaleDown": {}}}})["spec"]
    assert spec["minReplicas"] == 1
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert spec["behavior"]["scaleUp"]["policies"][0] == {"type": "Pods", "value": 4, "periodSeconds": 15}
    assert "stabilizationWindowSeconds" not in spec["behavior"]["scaleDown"]
    assert made("autoscaling", "v1", "HorizontalPodAutoscaler", {})["spec"] == {"minReplicas": 1}


def test_network_policy_and_ingress_class() -> None:
    policy = made("networking.k8s.io", "v1", "NetworkPolicy", {"spec": {"egress": [{"ports": [{"port": 53}]}]}})["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"][0]["ports"][0]["protocol"] == "TCP"
    found = made("networking.k8s.io", "v1", "IngressClass", {"spec": {"parameters": {}}})
    assert found["spec"]["parameters"] == {"scope": "Cluster"}


def test_bindings() -> None:
    tree = {"roleRef": {"kind": "Role"}, "subjects": [{"kind": "User"}, {"kind": "ServiceAccount"}]}
    binding = made("rbac.authorization.k8s.io", "v1", "RoleBinding", tree)
    assert binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert [subject.get("apiGroup") for subject in binding["subjects"]] == ["rbac.authorization.k8s.io", None]


def test_webhooks() -> None:
    hook = {"clientConfig": {"service": {"name": "s"}}, "rules": [{}]}
    tree = made("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", {"webhooks": [hook]})
    assert tree["webhooks"][0] == {
        "clientConfig": {"service": {"name": "s", "port": 443}},
        "rules": [{"scope": "*"}],
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
        "reinvocationPolicy": "Never",
    }


def test_custom_resource_definition() -> None:
    spec = {"names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "storage": True}]}
    tree = made("apiextensions.k8s.io", "v1", "CustomResourceDefinition", {"spec": spec})
    assert tree["spec"]["names"] == {
        "kind": "Widget",
        "plural": "widgets",
        "singular": "widget",
        "listKind": "WidgetList",
    }
    assert tree["spec"]["conversion"] == {"strategy": "None"}
    assert tree["status"]["storedVersions"] == ["v1"]


def test_storage_scheduling_discovery_and_flow_control() -> None:
    assert made("storage.k8s.io", "v1", "StorageClass", {}) == {
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }
    assert made("storage.k8s.io", "v1", "CSIDriver", {})["spec"]["fsGroupPolicy"] == "ReadWriteOnceWithFSType"
    assert made("scheduling.k8s.io", "v1", "PriorityClass", {}) == {"preemptionPolicy": "PreemptLowerPriority"}
    endpoint_slice = made("discovery.k8s.io", "v1", "EndpointSlice", {"ports": [{}]})
    assert endpoint_slice["ports"] == [{"name": "", "protocol": "TCP"}]
    group = "flowcontrol.apiserver.k8s.io"
    assert made(group, "v1", "FlowSchema", {})["spec"] == {"matchingPrecedence": 1000}
    limited = {"nominalConcurrencyShares": 0, "limitResponse": {"queuing": {}}}
    level = made(group, "v1", "PriorityLevelConfiguration", {"spec": {"limited": limited}})["spec"]["limited"]
    assert level["nominalConcurrencyShares"] == 0
    assert level["limitResponse"]["queuing"] == {"handSize": 8, "queues": 64, "queueLengthLimit": 50}


def test_device_claims() -> None:
    spec = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu"}}]}}
    request = made("resource.k8s.io", "v1", "ResourceClaim", {"spec": spec})["spec"]["devices"]["requests"][0]
    assert request["exactly"] == {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda row: f"{row.qualified_name}/{row.version}")
def test_every_kinds_defaults_are_idempotent_and_fit_its_type(resource: Any) -> None:
    tree = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "x"}, "spec": {}}
    defaults.apply(resource, tree)
    once = copied(tree)
    defaults.apply(resource, tree)
    assert tree == once
    codec.from_tree(codec.struct_class(resource), tree)
