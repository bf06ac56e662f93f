"""Pods that are refused, in upstream's words; defaults are applied before, as the API server does."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api import codec, defaults, resources
from podkeeper.api.core import v1
from podkeeper.api.validation import validate_create, validate_update

PODS = resources.for_type(v1.Pod)


def pod(**spec: Any) -> v1.Pod:
    """A pod of one container, with those members of the spec."""
    tree = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "generation": 1},
        "spec": {"containers": [{"name": "c", "image": "i"}]} | spec,
    }
    defaults.apply(PODS, tree)
    return codec.from_tree(v1.Pod, tree)


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i"} | fields]}


def mistakes(obj: v1.Pod) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in validate_create(PODS, {}, obj)]


FIRST = "spec.containers[0]"
HTTP = {"httpGet": {"path": "/", "port": 80}}


def test_a_rich_pod_is_good() -> None:
    rich = pod(
        **container(
            ports=[{"containerPort": 80, "name": "http"}, {"containerPort": 81, "hostPort": 81}],
            env=[
                {"name": "A", "value": "b"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
                {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
            envFrom=[{"configMapRef": {"name": "c"}}],
            volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "a/b"}],
            resources={"requests": {"cpu": "1", "example.com/d": "2"}, "limits": {"cpu": "1", "example.com/d": "2"}},
            livenessProbe=HTTP,
            readinessProbe={"tcpSocket": {"port": "http"}},
            startupProbe={"exec": {"command": ["true"]}},
            lifecycle={"preStop": {"sleep": {"seconds": 5}}},
            securityContext={"runAsUser": 0, "privileged": True},
        ),
        initContainers=[{"name": "side", "image": "i", "restartPolicy": "Always", "startupProbe": HTTP}],
        volumes=[
            {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}},
            {
                "name": "kube-api-access",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {
                            "downwardAPI": {
                                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                            }
                        },
                    ]
                },
            },
        ],
        tolerations=[{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300, "key": "k"}],
        nodeSelector={"kubernetes.io/os": "linux"},
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
        ],
    )
    assert mistakes(rich) == []


BUSY = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}}
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"containers": []}, "spec.containers", "Required value"),
    (container(image=""), f"{FIRST}.image", "Required value"),
    (container(image=" i"), f"{FIRST}.image", 'Invalid value: " i": must not have leading or trailing whitespace'),
    (
        {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]},
        "spec.containers[1].name",
        'Duplicate value: "c"',
    ),
    ({"initContainers": [{"name": "c", "image": "i"}]}, "spec.initContainers[0].name", 'Duplicate value: "c"'),
    (
        container(imagePullPolicy="Sometimes"),
        f"{FIRST}.imagePullPolicy",
        'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    ),
    (container(ports=[{}]), f"{FIRST}.ports[0].containerPort", "Required value"),
    (
        container(ports=[{"containerPort": 65536}]),
        f"{FIRST}.ports[0].containerPort",
        "Invalid value: 65536: must be between 1 and 65535, inclusive",
    ),
    (
        container(ports=[{"containerPort": 1, "protocol": "ICMP"}]),
        f"{FIRST}.ports[0].protocol",
        'Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        container(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
        f"{FIRST}.ports[1].hostPort",
        'Duplicate value: "TCP//9"',
    ),
    (
        container(env=[{"name": "a=b"}]),
        f"{FIRST}.env[0].name",
        'Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters '
        "other than '='",
    ),
    (
        container(env=[{"name": "a", "valueFrom": {}}]),
        f"{FIRST}.env[0].valueFrom",
        'Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
    ),
    (
        container(env=[{"name": "a", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
        f"{FIRST}.env[0].valueFrom",
        'Invalid value: "": may not be specified when `value` is not empty',
    ),
    (
        container(env=[{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]),
        f"{FIRST}.env[0].valueFrom.fieldRef.fieldPath",
        'Invalid value: "spec.x": error converting fieldPath: field label not supported: spec.x',
    ),
    (
        container(envFrom=[{}]),
        f"{FIRST}.envFrom",
        'Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ),
    (container(volumeMounts=[{"name": "x", "mountPath": "/x"}]), f"{FIRST}.volumeMounts[0].name", 'Not found: "x"'),
    (
        container(
            volumeMounts=[{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}],
        )
        | {"volumes": [{"name": "v", "emptyDir": {}}]},
        f"{FIRST}.volumeMounts[1].mountPath",
        'Invalid value: "/x": must be unique',
    ),
    (
        container(volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": "../y"}])
        | {"volumes": [{"name": "v", "emptyDir": {}}]},
        f"{FIRST}.volumeMounts[0].subPath",
        "Invalid value: \"../y\": must not contain '..'",
    ),
    (
        container(volumeMounts=[{"name": "v", "mountPath": "/x", "mountPropagation": "Bidirectional"}])
        | {"volumes": [{"name": "v", "emptyDir": {}}]},
        f"{FIRST}.volumeMounts[0].mountPropagation",
        "Forbidden: Bidirectional mount propagation is available only to privileged containers",
    ),
    (container(livenessProbe={}), f"{FIRST}.livenessProbe", "Required value: must specify a handler type"),
    (
        container(livenessProbe=HTTP | {"successThreshold": 2}),
        f"{FIRST}.livenessProbe.successThreshold",
        "Invalid value: 2: must be 1",
    ),
    (
        container(readinessProbe=HTTP | {"exec": {"command": ["x"]}}),
        f"{FIRST}.readinessProbe.httpGet",
        "Forbidden: may not specify more than 1 handler type",
    ),
    (
        container(readinessProbe=HTTP | {"periodSeconds": -1}),
        f"{FIRST}.readinessProbe.periodSeconds",
        "Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        {"initContainers": [{"name": "i", "image": "i", "readinessProbe": HTTP}]},
        "spec.initContainers[0].readinessProbe",
        "Forbidden: may not be set for init containers without restartPolicy=Always",
    ),
    (
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        f"{FIRST}.resources.requests",
        'Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        container(resources={"requests": {"memory": "-1Mi"}}),
        f"{FIRST}.resources.requests[memory]",
        'Invalid value: "-1Mi": must be greater than or equal to 0',
    ),
    (
        container(resources={"requests": {"pods": "1"}}),
        f"{FIRST}.resources.requests[pods]",
        'Invalid value: "pods": must be a standard resource for containers',
    ),
    (
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}, "emptyDir": {}}]},
        "spec.volumes[0].hostPath",
        "Forbidden: may not specify more than 1 volume type",
    ),
    (
        container(securityContext={"runAsUser": -1}),
        f"{FIRST}.securityContext.runAsUser",
        "Invalid value: -1: must be between 0 and 2147483647, inclusive",
    ),
    (
        container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
        f"{FIRST}.securityContext",
        'Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: '
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    (
        {"restartPolicy": "Sometimes"},
        "spec.restartPolicy",
        'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ),
    ({"dnsPolicy": "None"}, "spec.dnsConfig", "Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    (
        {"dnsConfig": {"nameservers": ["a"]}},
        "spec.dnsConfig.nameservers[0]",
        'Invalid value: "a": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ),
    (
        {"activeDeadlineSeconds": 0},
        "spec.activeDeadlineSeconds",
        "Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
    (
        {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
        "spec.volumes[0].hostPath.path",
        "Invalid value: \"/a/../b\": must not contain '..'",
    ),
    (
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": ""}}]},
        "spec.volumes[0].persistentVolumeClaim.claimName",
        "Required value",
    ),
    (
        {"tolerations": [{"value": "v"}]},
        "spec.tolerations[0].operator",
        'Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
    ),
    (
        {"tolerations": [{"key": "k", "effect": "Nothing"}]},
        "spec.tolerations[0].effect",
        'Unsupported value: "Nothing": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ),
    (
        {"tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]},
        "spec.tolerations[0].operator",
        "Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
    ),
    (
        {"resources": {"requests": {"cpu": "1"}}, "containers": [BUSY]},
        "spec.resources.requests[cpu]",
        'Invalid value: "1": must be greater than or equal to aggregate container requests of 2',
    ),
    (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "3"}}, "containers": [BUSY]},
        "spec.resources.containers[0][cpu].limits",
        'Invalid value: "4": must be less than or equal to pod limits of 3',
    ),
    (
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
        "Required value: must have at least one node selector term",
    ),
    (
        {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]},
        "spec.topologySpreadConstraints[0].maxSkew",
        "Invalid value: 0: must be greater than zero",
    ),
    (
        {"hostAliases": [{"ip": "x"}]},
        "spec.hostAliases[0].ip",
        'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ),
    (
        {"schedulingGates": [{"name": "a"}, {"name": "a"}]},
        "spec.schedulingGates[1]",
        'Duplicate value: "a"',
    ),
    (
        {"schedulingGates": [{"name": "a"}], "nodeName": "x"},
        "spec.nodeName",
        "Forbidden: cannot be set until all schedulingGates have been cleared",
    ),
    (
        {"ephemeralContainers": [{"name": "e", "image": "i"}]},
        "spec.ephemeralContainers",
        "Forbidden: cannot be set on create",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        "spec.securityContext.seccompProfile.localhostProfile",
        "Required value: must be set when seccomp type is Localhost",
    ),
    ({"os": {"name": "plan9"}}, "spec.os", 'Unsupported value: "plan9": supported values: "linux", "windows"'),
]


@pytest.mark.parametrize(("spec", "field", "message"), CASES, ids=[f"{case[1]}-{i}" for i, case in enumerate(CASES)])
def test_a_mistake_names_its_field(spec: dict[str, Any], field: str, message: str) -> None:
    assert mistakes(pod(**spec)) == [(field, message)]


def changes(old: dict[str, Any], new: dict[str, Any], subresource: str = "") -> list[tuple[str, str]]:
    causes = validate_update(PODS, pod(**new), pod(**old), subresource)
    return [(cause.field, cause.message.partition("\n")[0]) for cause in causes]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, container(image="j")),
        ({}, {"activeDeadlineSeconds": 5}),
        ({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 4}),
        ({}, {"tolerations": [{"key": "k", "operator": "Exists"}]}),
        ({"schedulingGates": [{"name": "a"}, {"name": "b"}]}, {"schedulingGates": [{"name": "b"}]}),
        ({"schedulingGates": [{"name": "a"}]}, {"schedulingGates": [{"name": "a"}], "nodeSelector": {"a": "b"}}),
        ({"terminationGracePeriodSeconds": -1}, {"terminationGracePeriodSeconds": 1}),
    ],
)
def test_what_may_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert changes(old, new) == []


FORBIDDEN = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ({}, {"nodeName": "x"}, "spec", FORBIDDEN),
        ({}, container(command=["x"]), "spec", FORBIDDEN),
        ({}, {"ephemeralContainers": [{"name": "e", "image": "i"}]}, "spec", FORBIDDEN),
        (
            {},
            {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]},
            "spec.containers",
            "Forbidden: pod updates may not add or remove containers",
        ),
        (
            container(imagePullPolicy="Never"),
            container(imagePullPolicy="Never", image=""),
            f"{FIRST}.image",
            "Required value",
        ),
        (
            {"activeDeadlineSeconds": 5},
            {"activeDeadlineSeconds": 6},
            "spec.activeDeadlineSeconds",
            "Invalid value: 6: must be less than or equal to previous value",
        ),
        (
            {"tolerations": [{"key": "k", "operator": "Exists"}]},
            {},
            "spec.tolerations",
            "Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            {},
            {"schedulingGates": [{"name": "a"}]},
            "spec.schedulingGates[0].name",
            "Forbidden: only deletion is allowed, but found new scheduling gate 'a'",
        ),
    ],
)
def test_what_may_not_change(old: dict[str, Any], new: dict[str, Any], field: str, message: str) -> None:
    assert changes(old, new) == [(field, message)]


EPHEMERAL = {"ephemeralContainers": [{"name": "e", "image": "i"}]}


def test_ephemeral_containers_are_added_and_stay() -> None:
    assert changes({}, EPHEMERAL, "ephemeralcontainers") == []
    assert changes(EPHEMERAL, {}, "ephemeralcontainers") == [
        ("spec.ephemeralContainers", 'Forbidden: existing ephemeral containers "e" may not be removed')
    ]
    with_ports = {"ephemeralContainers": [{"name": "e", "image": "i", "ports": [{"containerPort": 1}]}]}
    assert changes({}, with_ports, "ephemeralcontainers") == [
        ("spec.ephemeralContainers[0].ports", "Forbidden: cannot be set for an Ephemeral Container")
    ]


def test_resizing_changes_resources_alone() -> None:
    small, large = (container(resources={"requests": {"cpu": each}}) for each in ("1", "2"))
    assert changes(small, large, "resize") == []
    assert changes(small, container(image="j", resources={"requests": {"cpu": "1"}}), "resize") == [
        ("spec", "Forbidden: only cpu and memory resources for sidecar and non-sidecar containers are mutable")
    ]
    whole = {"cpu": "1", "memory": "1Mi"}
    assert changes(small, container(resources={"requests": whole, "limits": whole}), "resize") == [
        ("spec", 'Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing')
    ]


def test_pods_need_a_topology_to_be_near_on() -> None:
    at = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution"
    found = mistakes(pod(affinity={"podAffinity": {at.rpartition(".")[2]: [{"labelSelector": {}}]}}))
    assert found[0] == (f"{at}[0].topologyKey", "Required value: can not be empty")
    assert found[1] == (f"{at}[0].topologyKey", 'Invalid value: "": name part must be non-empty')


def test_namespaces_to_be_near_are_shown_without_their_place() -> None:
    term = {"topologyKey": "zone", "namespaces": ["A"]}
    [(field, message)] = mistakes(
        pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    )
    assert field == "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace"
    assert message.startswith('Invalid value: "A": a lowercase RFC 1123 label must consist of')


def test_a_resource_that_nobody_knows_is_none_for_containers_either() -> None:
    at = f"{FIRST}.resources.limits[disks]"
    found = [cause for cause in mistakes(pod(**container(resources={"limits": {"disks": "1"}}))) if cause[0] == at]
    assert found == [
        (at, 'Invalid value: "disks": must be a standard resource type or fully qualified'),
        (at, 'Invalid value: "disks": must be a standard resource for containers'),
    ]


def test_a_volume_that_is_wrong_cannot_be_mounted() -> None:
    mounting = container(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    found = mistakes(pod(**mounting, volumes=[{"name": "v", "hostPath": {"path": ""}}]))
    assert found == [
        ("spec.volumes[0].hostPath.path", "Required value"),
        (f"{FIRST}.volumeMounts[0].name", 'Not found: "v"'),
    ]
