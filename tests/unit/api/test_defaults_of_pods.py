"""Defaults of pods and pod templates."""

from typing import Any

import pytest

from podkeeper.api import defaults
from podkeeper.api.defaults.containers import pull_policy
from podkeeper.api.patches.trees import copied


def defaulted(spec: dict[str, Any]) -> dict[str, Any]:
    tree = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    defaults.apply_kind("", "v1", "Pod", tree)
    again = copied(tree)
    defaults.apply_kind("", "v1", "Pod", again)
    assert again == tree, "defaulting twice is defaulting once"
    return tree["spec"]  # type: ignore[return-value]


def container(**fields: Any) -> dict[str, Any]:
    return defaulted({"containers": [{"name": "c", "image": "nginx", **fields}]})["containers"][0]  # type: ignore[no-any-return]


def test_the_tutorials_pod() -> None:
    spec = defaulted({"containers": [{"name": "nginx", "image": "nginx:latest", "ports": [{"containerPort": 80}]}]})
    assert spec == {
        "containers": [
            {
                "name": "nginx",
                "image": "nginx:latest",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/a/nginx", "Always"),
        ("registry:5000/a/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "0" * 64, "Always"),
        ("", "IfNotPresent"),
        ("NGINX", "IfNotPresent"),
    ],
)
def test_pull_policies(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_what_was_given_stays() -> None:
    spec = defaulted({"containers": [], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0})
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 0


def test_null_counts_as_absent() -> None:
    spec = defaulted({"containers": None, "securityContext": None, "dnsPolicy": None})
    assert spec["securityContext"] == {}
    assert spec["dnsPolicy"] == "ClusterFirst"


def test_requests_come_from_limits_in_pods_alone() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    assert container(resources=copied(resources))["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    template = {"spec": {"template": {"spec": {"containers": [{"name": "c", "resources": copied(resources)}]}}}}
    defaults.apply_kind("apps", "v1", "ReplicaSet", template)
    assert template["spec"]["template"]["spec"]["containers"][0]["resources"] == resources


def test_amounts_are_rounded_up_to_thousandths() -> None:
    resources = {"requests": {"cpu": "100u", "memory": "1.5", "ephemeral-storage": "0.0001Ki"}}
    made = container(resources=resources)["resources"]["requests"]
    assert made == {"cpu": "1m", "memory": "1.5", "ephemeral-storage": "103m"}


def test_probes_hooks_and_variables() -> None:
    made = container(
        livenessProbe={"httpGet": {"port": 80}},
        readinessProbe={"grpc": {"port": 1}, "periodSeconds": 3},
        lifecycle={"preStop": {"httpGet": {"port": 80}}},
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    )
    assert made["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert made["readinessProbe"]["grpc"] == {"port": 1, "service": ""}
    assert made["readinessProbe"]["periodSeconds"] == 3
    assert made["lifecycle"]["preStop"]["httpGet"]["path"] == "/"
    assert made["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"


def test_volumes() -> None:
    volumes = [
        {"name": "a"},
        {"name": "b", "configMap": {"name": "x"}},
        {"name": "c", "secret": {"secretName": "x"}},
        {"name": "d", "hostPath": {"path": "/x"}},
        {
            "name": "e",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
        {"name": "f", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
    ]
    made = defaulted({"containers": [], "volumes": volumes})["volumes"]
    assert made[0] == {"name": "a", "emptyDir": {}}
    assert made[1]["configMap"]["defaultMode"] == made[2]["secret"]["defaultMode"] == 420
    assert made[3]["hostPath"] == {"path": "/x", "type": ""}
    assert made[4]["projected"]["defaultMode"] == 420
    assert made[4]["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600
    assert made[4]["projected"]["sources"][1]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"
    assert made[5]["ephemeral"]["volumeClaimTemplate"]["spec"] == {"volumeMode": "Filesystem"}


def test_host_network_takes_the_containers_ports() -> None:
    spec = defaulted({"hostNetwork": True, "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]})
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


def test_the_service_account_stands_under_both_names() -> None:
    assert defaulted({"containers": [], "serviceAccount": "robot"})["serviceAccountName"] == "robot"
    assert defaulted({"containers": [], "serviceAccountName": "robot"})["serviceAccount"] == "robot"


def test_pod_level_requests_come_from_containers_and_limits() -> None:
    spec = defaulted(
        {
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "200m"}}},
                {"name": "b", "resources": {"requests": {"cpu": "300m"}}},
            ],
        }
    )
    assert spec["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


@pytest.mark.parametrize("spec", ["x", [], {"containers": "x"}, {"containers": [1]}, {"volumes": [{"configMap": "x"}]}])
def test_a_tree_of_another_shape_is_left_to_the_decoder(spec: Any) -> None:
    defaults.apply_kind("", "v1", "Pod", {"spec": spec})
