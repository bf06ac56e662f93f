"""Requests and limits as kernel settings, the cgroup tree, security contexts, admission: pure rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.core import v1
from podkeeper.api.pods import affinity
from podkeeper.api.quantity import Quantity
from podkeeper.foundation.cgroups import CgroupMode, CgroupsV2, Layout
from podkeeper.kubelet.admission import NodeRoom, admit
from podkeeper.kubelet.downward import NodeFacts, resource_value
from podkeeper.kubelet.pod_cgroups import PodCgroups
from podkeeper.kubelet.resources import container_resources, oom_score_adj, pod_resources, quota, shares
from podkeeper.kubelet.security import RefusedUser, container_security, pod_namespaces
from podkeeper.runtime.cri import NamespaceMode
from podkeeper.runtime.cri_images import ImageStatus

Make = Callable[..., v1.Pod]
GIB = 1 << 30


def asks(name: str = "app", limits: dict[str, str] | None = None, **requests: str) -> v1.Container:
    wanted = v1.ResourceRequirements(
        requests={key: Quantity(value) for key, value in requests.items()},
        limits={key: Quantity(value) for key, value in (limits or {}).items()},
    )
    return v1.Container(name=name, image="app:1", resources=wanted)


# -- kernel settings ------------------------------------------------------------------------------------------


def test_cpu_is_counted_as_upstream_counts_it() -> None:
    assert [shares(milli) for milli in (0, 1, 2, 100, 1000, 10**6)] == [2, 2, 2, 102, 1024, 262144]
    assert [quota(milli) for milli in (0, 1, 10, 500, 2000)] == [None, 1000, 1000, 50000, 200000]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_cpu_never_means_fewer_shares(one: int, two: int) -> None:
    assert (shares(one) <= shares(two)) or one > two


def test_a_containers_settings(make_pod: Make) -> None:
    container = asks(cpu="250m", memory="64Mi", limits={"cpu": "500m", "memory": "128Mi"})
    found = container_resources(make_pod(containers=(container,)), container, 8 * GIB)
    assert (found.cpu_shares, found.cpu_quota, found.cpu_period) == (256, 50000, 100000)
    assert found.memory_limit == 128 * 1024 * 1024
    only_limit = asks(limits={"cpu": "500m"})
    assert container_resources(make_pod(containers=(only_limit,)), only_limit, GIB).cpu_shares == 512


def test_oom_scores_follow_the_class_and_the_request(make_pod: Make) -> None:
    def score(container: v1.Container, **spec: Any) -> int:
        return oom_score_adj(make_pod(containers=(container,), **spec), container, 8 * GIB)

    guaranteed = asks(cpu="1", memory="1Gi", limits={"cpu": "1", "memory": "1Gi"})
    assert score(guaranteed) == -997
    assert score(asks()) == 1000
    assert score(asks(memory="4Gi")) == 500
    assert score(asks(cpu="1")) == 999
    assert score(asks(memory="8Gi")) == 3
    assert score(asks(), priority=2_000_001_000) == -997


def test_a_pods_own_resources_hold_for_containers_that_declare_none(make_pod: Make) -> None:
    own = v1.ResourceRequirements(
        requests={"cpu": Quantity("200m"), "memory": Quantity("3Gi")},
        limits={"cpu": Quantity("500m"), "memory": Quantity("4Gi")},
    )
    free, limited = asks("free"), asks("limited", memory="1Gi", limits={"memory": "1Gi"})
    pod = make_pod(containers=(free, limited), resources=own)
    found = container_resources(pod, free, 8 * GIB)
    assert (found.cpu_shares, found.cpu_quota, found.memory_limit) == (512, 50000, 4 * GIB)
    assert container_resources(pod, limited, 8 * GIB).memory_limit == GIB
    # The pod asks for 2 GiB more than its containers: each of the two counts with half of that.
    assert (oom_score_adj(pod, free, 8 * GIB), oom_score_adj(pod, limited, 8 * GIB)) == (875, 750)
    selector = v1.ResourceFieldSelector(container_name="free", resource="limits.memory")
    node = NodeFacts("node", (), {"memory": Quantity("8Gi")})
    assert resource_value(pod, selector, "free", node) == str(4 * GIB)


async def test_version_2_ends_a_container_as_one_when_memory_runs_out(tmp_path: Path, fake_cgroups: Any) -> None:
    version_2 = CgroupsV2(Layout(CgroupMode.UNIFIED, {}, tmp_path))
    assert PodCgroups(version_2, "/node").container_settings == {"memory.oom.group": "1"}
    assert PodCgroups(fake_cgroups, "/node").container_settings == {}


def test_a_pod_is_limited_only_when_all_its_containers_are(make_pod: Make) -> None:
    limited, free = asks("a", limits={"cpu": "1", "memory": "1Gi"}), asks("b", cpu="1")
    both = pod_resources(make_pod(containers=(limited, asks("b", limits={"cpu": "1", "memory": "1Gi"}))))
    assert (both.cpu_quota, both.memory_limit) == (200000, 2 * GIB)
    one = pod_resources(make_pod(containers=(limited, free)))
    assert (one.cpu_quota, one.memory_limit, one.cpu_shares) == (None, None, 1024)
    assert pod_resources(make_pod()).cpu_shares == 2


async def test_cgroups_are_kept_by_class_and_burstable_shares_add_up(fake_cgroups: Any, make_pod: Make) -> None:
    groups = PodCgroups(fake_cgroups, "/podkeeper-node")
    groups.set_up_node()
    burstable = make_pod("one", containers=(asks(cpu="500m"),))
    guaranteed = make_pod("two", containers=(asks(limits={"cpu": "1", "memory": "1Gi"}, cpu="1", memory="1Gi"),))
    assert groups.set_up(burstable) == "/podkeeper-node/burstable/poduid-of-one"
    assert groups.set_up(guaranteed) == "/podkeeper-node/poduid-of-two"
    assert groups.set_up(make_pod("three")) == "/podkeeper-node/besteffort/poduid-of-three"
    assert fake_cgroups.groups["/podkeeper-node/burstable"].cpu_shares == 512
    assert groups.known_uids() == {"uid-of-one", "uid-of-two", "uid-of-three"}
    await groups.remove("uid-of-one")
    assert fake_cgroups.groups["/podkeeper-node/burstable"].cpu_shares == 2
    assert not fake_cgroups.exists("/podkeeper-node/burstable/poduid-of-one")


# -- security -------------------------------------------------------------------------------------------------


def image(user: str = "") -> ImageStatus:
    return ImageStatus("sha256:1", ("app:1",), (), 1, user=user)


def test_the_containers_context_beats_the_pods(make_pod: Make) -> None:
    own = v1.SecurityContext(
        run_as_user=2,
        allow_privilege_escalation=False,
        capabilities=v1.Capabilities(add=("CAP_NET_ADMIN", "sys_time"), drop=("ALL",)),
        proc_mount="Unmasked",
    )
    pod = make_pod(
        containers=(v1.Container(name="app", image="app:1", security_context=own),),
        security_context=v1.PodSecurityContext(
            run_as_user=1,
            run_as_group=3,
            fs_group=5,
            supplemental_groups=(4,),
            supplemental_groups_policy="Strict",
            seccomp_profile=v1.SeccompProfile(type="RuntimeDefault"),
        ),
    )
    found = container_security(pod, pod.spec.containers[0], image())
    assert (found.run_as_user, found.run_as_group, found.supplemental_groups) == (2, 3, (4, 5))
    assert (found.add_capabilities, found.drop_capabilities) == (("NET_ADMIN", "SYS_TIME"), ("ALL",))
    assert found.no_new_privs
    assert found.strict_groups
    assert (found.masked_paths, found.readonly_paths) == ((), ())
    assert found.seccomp.type == "RuntimeDefault"


@pytest.mark.parametrize(
    ("user", "image_user", "words"),
    [
        (0, "", "container's runAsUser breaks non-root policy"),
        (None, "0", "container has runAsNonRoot and image will run as root"),
        (None, "", "container has runAsNonRoot and image will run as root"),
        (None, "nginx", "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify"),
        (7, "", ""),
        (None, "1000:1000", ""),
    ],
)
def test_run_as_non_root(make_pod: Make, user: int | None, image_user: str, words: str) -> None:
    context = v1.SecurityContext(run_as_non_root=True, run_as_user=user)
    pod = make_pod(containers=(v1.Container(name="app", image="app:1", security_context=context),))
    if not words:
        container_security(pod, pod.spec.containers[0], image(image_user))
        return
    with pytest.raises(RefusedUser) as caught:
        container_security(pod, pod.spec.containers[0], image(image_user))
    assert words in str(caught.value)


def test_namespaces(make_pod: Make) -> None:
    assert pod_namespaces(make_pod()).pid is NamespaceMode.CONTAINER
    assert pod_namespaces(make_pod(share_process_namespace=True)).pid is NamespaceMode.POD
    host = pod_namespaces(make_pod(host_pid=True, host_ipc=True, host_network=True))
    assert (host.pid, host.ipc, host.network) == (NamespaceMode.NODE,) * 3
    target = pod_namespaces(make_pod(), "container1")
    assert (target.pid, target.target_id) == (NamespaceMode.TARGET, "container1")


# -- admission ------------------------------------------------------------------------------------------------

ROOM = NodeRoom(
    {"cpu": Quantity("2"), "memory": Quantity("4Gi"), "pods": Quantity("3")},
    node=affinity.NodeFacts("node", {"disk": "ssd"}),
)


def refusal(pod: v1.Pod, *others: v1.Pod, room: NodeRoom = ROOM) -> tuple[str, str]:
    verdict = admit(pod, others, room)
    return (verdict.reason, verdict.message) if verdict else ("", "")


def test_a_node_takes_what_fits(make_pod: Make) -> None:
    assert refusal(make_pod(containers=(asks(cpu="1500m"),)), make_pod(containers=(asks(cpu="500m"),))) == ("", "")
    reason, message = refusal(make_pod(containers=(asks(cpu="1"),)), make_pod(containers=(asks(cpu="1500m"),)))
    assert reason == "OutOfcpu"
    assert message == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"
    )
    assert refusal(make_pod(containers=(asks(memory="5Gi"),)))[0] == "OutOfmemory"
    assert refusal(make_pod(), make_pod(), make_pod(), make_pod())[0] == "OutOfpods"


def port(number: int, **fields: Any) -> v1.Container:
    return v1.Container(
        name="app", image="app:1", ports=(v1.ContainerPort(container_port=80, host_port=number, **fields),)
    )


def test_host_ports_are_taken_once(make_pod: Make) -> None:
    taken = make_pod(containers=(port(8080),))
    assert refusal(make_pod(containers=(port(8080, host_ip="192.0.2.1"),)), taken)[0] == "NodePorts"
    assert refusal(make_pod(containers=(port(8080, protocol="UDP"),)), taken)[0] == ""


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"node_selector": {"disk": "hdd"}}, "NodeAffinity"),
        ({"node_selector": {"disk": "ssd"}}, ""),
        ({"host_users": False}, "UserNamespacesNotSupported"),
        ({"runtime_class_name": "gvisor"}, "RuntimeClassNotSupported"),
        ({"os": v1.PodOS(name="windows")}, "PodOSNotSupported"),
        ({"security_context": v1.PodSecurityContext(supplemental_groups_policy="Strict")}, ""),
        (
            {
                "init_containers": (
                    v1.Container(
                        name="i", restart_policy_rules=(v1.ContainerRestartRule(action="RestartAllContainers"),)
                    ),
                )
            },
            "RestartRuleNotSupported",
        ),
    ],
)
def test_what_the_node_cannot_do_is_refused_by_name(make_pod: Make, spec: dict[str, Any], reason: str) -> None:
    assert refusal(make_pod(**spec))[0] == reason


@pytest.mark.parametrize(
    ("name", "spec", "refused"),
    [
        ("net.ipv4.tcp_syncookies", {}, False),
        ("net/ipv4/tcp_syncookies", {}, False),
        ("net.ipv4.tcp_syncookies", {"host_network": True}, True),
        ("kernel.msgmax", {}, True),
        ("kernel.shm_rmid_forced", {"host_ipc": True}, True),
    ],
)
def test_only_safe_sysctls_are_set(make_pod: Make, name: str, spec: dict[str, Any], refused: bool) -> None:
    context = v1.PodSecurityContext(sysctls=(v1.Sysctl(name=name, value="1"),))
    assert (refusal(make_pod(security_context=context, **spec))[0] == "SysctlForbidden") is refused
    allowed = NodeRoom({}, allowed_sysctls=("kernel.*",))
    unsafe = v1.PodSecurityContext(sysctls=(v1.Sysctl(name="kernel.msgmax", value="1"),))
    assert refusal(make_pod(security_context=unsafe), room=allowed)[0] == ""


def test_no_execute_taints_need_a_toleration(make_pod: Make) -> None:
    tainted = NodeRoom({}, taints=(v1.Taint(key="down", value="yes", effect="NoExecute"),))
    assert refusal(make_pod(), room=tainted)[0] == "TaintToleration"
    tolerant = make_pod(tolerations=(v1.Toleration(key="down", operator="Exists"),))
    assert refusal(tolerant, room=tainted)[0] == ""
    soft = NodeRoom({}, taints=(v1.Taint(key="down", effect="NoSchedule"),))
    assert refusal(make_pod(), room=soft)[0] == ""
