"""What kubectl get shows: the STATUS of pods above all, then a row of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.resources import RESOURCES, lookup
from podkeeper.apiserver.tables.column import duration, selector_text
from podkeeper.apiserver.tables.kinds import columns_of
from podkeeper.apiserver.tables.pods import pod_cells, pod_conditions

NOW = 1_700_000_000.0
BORN = "2023-11-14T22:10:20Z"  # three minutes before


def pod(status: Any, **spec: Any) -> dict[str, Any]:
    spec.setdefault("containers", [{"name": "a"}])
    return {"metadata": {"name": "p", "creationTimestamp": BORN}, "spec": spec, "status": {"phase": "Running"} | status}


def container(name: str = "a", ready: bool = False, restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state}


def running(name: str = "a") -> dict[str, Any]:
    return container(name, True, running={"startedAt": BORN})


TWO = [{"name": "a"}, {"name": "b"}]
SIDECAR = [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]
INITIALIZED = [{"type": "Initialized", "status": "True"}]
READY = [*INITIALIZED, {"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (pod({"phase": "Pending"}), ["0/1", "Pending", "0"]),
        (pod({"containerStatuses": [running()]}), ["1/1", "Running", "0"]),
        (
            pod({"containerStatuses": [container(restarts=3, waiting={"reason": "CrashLoopBackOff"})]}),
            ["0/1", "CrashLoopBackOff", "3"],
        ),
        (
            pod(
                {
                    "phase": "Succeeded",
                    "containerStatuses": [container(terminated={"reason": "Completed", "exitCode": 0})],
                }
            ),
            ["0/1", "Completed", "0"],
        ),
        (pod({"containerStatuses": [container(terminated={"exitCode": 3})]}), ["0/1", "ExitCode:3", "0"]),
        (pod({"containerStatuses": [container(terminated={"signal": 9})]}), ["0/1", "Signal:9", "0"]),
        (
            pod(
                {
                    "conditions": READY,
                    "containerStatuses": [container("a", terminated={"reason": "Completed"}), running("b")],
                },
                containers=TWO,
            ),
            ["1/2", "Running", "0"],
        ),
        (
            pod(
                {"containerStatuses": [container("a", terminated={"reason": "Completed"}), running("b")]},
                containers=TWO,
            ),
            ["1/2", "NotReady", "0"],
        ),
        (
            pod(
                {"phase": "Pending", "initContainerStatuses": [container("i", running={})]},
                initContainers=[{"name": "i"}],
            ),
            ["0/1", "Init:0/1", "0"],
        ),
        (
            pod(
                {"initContainerStatuses": [container("i", restarts=2, waiting={"reason": "CrashLoopBackOff"})]},
                initContainers=[{"name": "i"}],
            ),
            ["0/1", "Init:CrashLoopBackOff", "2"],
        ),
        (
            pod(
                {"initContainerStatuses": [container("i", terminated={"exitCode": 1})]}, initContainers=[{"name": "i"}]
            ),
            ["0/1", "Init:ExitCode:1", "0"],
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [running("s") | {"started": True}, container("i", running={})],
                },
                initContainers=SIDECAR,
            ),
            ["1/2", "Init:1/2", "0"],
        ),
        (pod({"reason": "Evicted", "phase": "Failed"}), ["0/1", "Evicted", "0"]),
        (
            pod({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
            ["0/1", "SchedulingGated", "0"],
        ),
    ],
)
def test_the_status_of_a_pod(tree: Any, expected: list[str]) -> None:
    assert pod_cells(tree, NOW)[1:4] == expected


def test_a_pod_that_is_being_deleted() -> None:
    tree = pod({"containerStatuses": [running()]})
    tree["metadata"]["deletionTimestamp"] = BORN
    assert pod_cells(tree, NOW)[2] == "Terminating"
    tree["status"]["reason"] = "NodeLost"
    assert pod_cells(tree, NOW)[2] == "Unknown"
    ended = pod({"phase": "Succeeded"})
    ended["metadata"]["deletionTimestamp"] = BORN
    assert pod_cells(ended, NOW)[2] == "Succeeded"


def test_restarts_tell_when_the_last_was() -> None:
    status = running() | {"restartCount": 2, "lastState": {"terminated": {"finishedAt": "2023-11-14T22:12:20Z"}}}
    assert pod_cells(pod({"containerStatuses": [status]}), NOW)[3:5] == ["2 (60s ago)", "3m"]


def test_the_wide_cells_of_a_pod() -> None:
    status = {"podIPs": [{"ip": "10.0.0.1"}], "conditions": [{"type": "x/gate", "status": "True"}]}
    tree = pod(status, nodeName="n", readinessGates=[{"conditionType": "x/gate"}, {"conditionType": "y/gate"}])
    assert pod_cells(tree, NOW)[5:] == ["10.0.0.1", "n", "<none>", "1/2"]
    assert pod_cells(pod({}), NOW)[5:] == ["<none>"] * 4
    assert pod_conditions(pod({"phase": "Failed"}))[0]["reason"] == "Failed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11520, "3h12m"),
        (86400, "24h"),
        (172800, "2d"),
        (183600, "2d3h"),
        (691200, "8d"),
        (63072000, "2y"),
        (63158400, "2y1d"),
        (252288000, "8y"),
    ],
)
def test_spans_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e10))
def test_every_span_has_a_text(seconds: float) -> None:
    assert duration(seconds)[-1] in "smhdy"


def test_label_selectors() -> None:
    expressions = [{"key": "c", "operator": "In", "values": ["y", "x"]}, {"key": "b", "operator": "DoesNotExist"}]
    assert selector_text({"matchLabels": {"a": "1"}, "matchExpressions": expressions}) == "a=1,!b,c in (x,y)"
    assert selector_text(None) == selector_text({}) == "<none>"


ROWS: list[tuple[str, str, dict[str, Any], list[Any]]] = [
    (
        "",
        "services",
        {
            "spec": {
                "type": "LoadBalancer",
                "clusterIPs": ["10.0.0.1"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                "selector": {"a": "b"},
            }
        },
        ["x", "LoadBalancer", "10.0.0.1", "<pending>", "80:30080/TCP,53/UDP", "3m", "a=b"],
    ),
    (
        "",
        "nodes",
        {
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
                "nodeInfo": {
                    "kubeletVersion": "v1.36.0",
                    "osImage": "Debian",
                    "kernelVersion": "6",
                    "containerRuntimeVersion": "p://1",
                },
            },
        },
        ["x", "Ready,SchedulingDisabled", "<none>", "3m", "v1.36.0", "10.1.1.1", "<none>", "Debian", "6", "p://1"],
    ),
    (
        "apps",
        "deployments",
        {
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}},
            },
            "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
        },
        ["x", "1/3", 2, 1, "3m", "c,d", "i,j", "a=b"],
    ),
    (
        "batch",
        "jobs",
        {
            "spec": {"completions": 4, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
            "status": {
                "succeeded": 4,
                "startTime": BORN,
                "completionTime": "2023-11-14T22:11:20Z",
                "conditions": [{"type": "Complete", "status": "True"}],
            },
        },
        ["x", "Complete", "4/4", "60s", "3m", "c", "i", "<none>"],
    ),
    (
        "",
        "events",
        {
            "type": "Normal",
            "reason": "Pulled",
            "message": " done\n",
            "involvedObject": {"kind": "Pod", "name": "p"},
            "source": {"component": "kubelet", "host": "n"},
            "firstTimestamp": BORN,
            "lastTimestamp": "2023-11-14T22:12:20Z",
            "count": 3,
        },
        ["60s", "Normal", "Pulled", "pod/p", "", "kubelet, n", "done", "3m", 3, "x"],
    ),
    ("", "configmaps", {"data": {"a": ""}, "binaryData": {"b": ""}}, ["x", 2, "3m"]),
    ("", "secrets", {"type": "Opaque", "data": {"a": ""}}, ["x", "Opaque", 1, "3m"]),
    ("coordination.k8s.io", "leases", {"spec": {"holderIdentity": "n"}}, ["x", "n", "3m"]),
    (
        "",
        "resourcequotas",
        {"status": {"hard": {"pods": "4", "limits.cpu": "2"}, "used": {"pods": "1"}}},
        ["x", "pods: 1/4", "limits.cpu: 0/2", "3m"],
    ),
    (
        "",
        "persistentvolumeclaims",
        {
            "spec": {"volumeName": "v", "storageClassName": "s", "volumeMode": "Filesystem"},
            "status": {
                "phase": "Bound",
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            },
        },
        ["x", "Bound", "v", "1Gi", "RWO,RWX", "s", "<unset>", "3m", "Filesystem"],
    ),
    (
        "discovery.k8s.io",
        "endpointslices",
        {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": [str(n)]} for n in range(5)]},
        ["x", "IPv4", "80", "0,1,2 + 2 more...", "3m"],
    ),
    (
        "networking.k8s.io",
        "ingresses",
        {"spec": {"ingressClassName": "web", "rules": [{"host": "a"}, {"host": "b"}], "tls": [{}]}},
        ["x", "web", "a,b", "", "80, 443", "3m"],
    ),
    (
        "rbac.authorization.k8s.io",
        "rolebindings",
        {
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}],
        },
        ["x", "Role/r", "3m", "u", "", "n/s"],
    ),
]


@pytest.mark.parametrize(
    ("group", "resource", "tree", "expected"), ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_rows_of_kinds(group: str, resource: str, tree: dict[str, Any], expected: list[Any]) -> None:
    row = next(each for each in RESOURCES if (each.group, each.name) == (group, resource))
    cells = columns_of(row).cells({"metadata": {"name": "x", "creationTimestamp": BORN}} | tree, NOW)
    assert cells == expected


@pytest.mark.parametrize("row", [row for row in RESOURCES if row.enabled], ids=lambda row: row.qualified_name)
def test_every_kind_prints_an_empty_object_with_as_many_cells_as_columns(row: Any) -> None:
    chosen = columns_of(row)
    cells = chosen.cells({"metadata": {"name": "x"}}, NOW)
    assert len(cells) == len(chosen.columns)
    assert chosen.columns[0].name in ("Name", "Last Seen")


def test_kinds_without_columns_show_when_they_were_made() -> None:
    row = lookup("", "v1", "limitranges")
    assert row is not None
    assert [column.name for column in columns_of(row).columns] == ["Name", "Created At"]
