"""What a pod asks for, its QoS class, tolerations, affinity, ports, conditions and phase."""

from typing import Any

import pytest

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.api.pods import affinity, conditions, phase, ports, priority, qos, requests, tolerations
from podkeeper.api.quantity import Quantity


def spec_of(**fields: Any) -> v1.PodSpec:
    return codec.from_tree(v1.PodSpec, fields)


def asking(name: str = "c", restart: str = "", **amounts: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "resources": {"requests": amounts}}
    return {**made, "restartPolicy": restart} if restart else made


def texts(amounts: dict[str, Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


def test_containers_add_up() -> None:
    spec = spec_of(containers=[asking(cpu="100m", memory="1Gi"), asking(cpu="200m")])
    assert texts(requests.of_pod(spec)) == {"cpu": "300m", "memory": "1Gi"}


def test_the_greatest_init_container_counts() -> None:
    spec = spec_of(initContainers=[asking(cpu="2"), asking(cpu="1", memory="1Gi")], containers=[asking(cpu="100m")])
    assert texts(requests.of_pod(spec)) == {"cpu": "2", "memory": "1Gi"}


def test_sidecars_count_with_what_runs_beside_them() -> None:
    init = [asking(cpu="1", restart="Always"), asking(cpu="3"), asking(cpu="1", restart="Always")]
    assert texts(requests.of_pod(spec_of(initContainers=init, containers=[asking(cpu="1")]))) == {"cpu": "4"}
    assert texts(requests.of_pod(spec_of(initContainers=init, containers=[asking(cpu="5")]))) == {"cpu": "7"}


def test_pod_level_resources_and_overhead() -> None:
    spec = spec_of(
        containers=[asking(cpu="1", **{"example.com/x": "1"})],
        resources={"requests": {"cpu": "3"}, "limits": {"cpu": "4"}},
        overhead={"cpu": "250m", "memory": "64Mi"},
    )
    assert texts(requests.of_pod(spec)) == {"cpu": "3250m", "example.com/x": "1", "memory": "64Mi"}
    assert texts(requests.of_pod(spec, "limits")) == {"cpu": "4250m"}


def limited(limits: dict[str, str], asked: dict[str, str]) -> dict[str, Any]:
    return {"name": "c", "resources": {"limits": limits, "requests": asked}}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([limited({}, {})], "BestEffort"),
        ([limited({}, {"cpu": "0"})], "BestEffort"),
        ([limited({}, {"example.com/x": "1"})], "BestEffort"),
        ([limited({}, {"cpu": "1"})], "Burstable"),
        ([limited({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1024Mi"})], "Guaranteed"),
        ([limited({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}), limited({}, {})], "Burstable"),
        ([limited({"cpu": "2", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"})], "Burstable"),
        ([limited({"cpu": "1"}, {"cpu": "1"})], "Burstable"),
    ],
)
def test_qos_classes(containers: list[dict[str, Any]], expected: str) -> None:
    assert qos.of_spec(spec_of(containers=containers)) == expected


def test_the_recorded_qos_class_stays() -> None:
    pod = v1.Pod(spec=spec_of(containers=[]), status=v1.PodStatus(qos_class="Guaranteed"))
    assert qos.of_pod(pod) == "Guaranteed"


def taint(key: str = "k", effect: str = "NoSchedule", value: str = "") -> v1.Taint:
    return v1.Taint(key=key, effect=effect, value=value)


def test_tolerations() -> None:
    assert tolerations.tolerates(v1.Toleration(operator="Exists"), taint())
    assert tolerations.tolerates(v1.Toleration(key="k", value="v"), taint(value="v"))
    assert not tolerations.tolerates(v1.Toleration(key="k", value="v"), taint())
    assert not tolerations.tolerates(v1.Toleration(key="k", operator="Exists", effect="NoExecute"), taint())
    assert tolerations.untolerated([taint(effect="PreferNoSchedule"), taint("other")], []) == taint("other")


def test_how_long_a_pod_may_stay() -> None:
    stay = v1.Toleration(key="k", operator="Exists", toleration_seconds=300)
    assert tolerations.seconds_to_stay([taint(effect="NoExecute")], [stay]) == 300
    assert tolerations.seconds_to_stay([taint(effect="NoExecute")], []) == 0
    assert tolerations.seconds_to_stay([taint(effect="NoExecute")], [v1.Toleration(operator="Exists")]) is None
    assert tolerations.seconds_to_stay([taint()], []) is None


def test_merging_tolerations_leaves_out_what_is_covered() -> None:
    wide = v1.Toleration(operator="Exists")
    narrow = v1.Toleration(key="k", operator="Exists", effect="NoExecute", toleration_seconds=300)
    assert tolerations.merged((wide,), (narrow,)) == (wide,)
    assert tolerations.merged((), (narrow,)) == (narrow,)


NODE = affinity.NodeFacts("n1", {"zone": "a", "cores": "8"})


def term(
    *expressions: tuple[str, str, list[str]], fields: tuple[tuple[str, str, list[str]], ...] = ()
) -> dict[str, Any]:
    def listed(all_of: Any) -> list[dict[str, Any]]:
        return [{"key": key, "operator": operator, "values": values} for key, operator, values in all_of]

    return {"matchExpressions": listed(expressions), "matchFields": listed(fields)}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([term(("zone", "In", ["a", "b"]))], True),
        ([term(("zone", "NotIn", ["a"]))], False),
        ([term(("rack", "NotIn", ["a"]))], True),
        ([term(("zone", "Exists", []), ("rack", "DoesNotExist", []))], True),
        ([term(("cores", "Gt", ["7"]))], True),
        ([term(("cores", "Lt", ["8"]))], False),
        ([term(("zone", "Gt", ["7"]))], False),
        ([term()], False),
        ([], False),
        ([term(("zone", "In", ["z"])), term(("zone", "In", ["a"]))], True),
        ([term(fields=(("metadata.name", "In", ["n1"]),))], True),
        ([term(fields=(("metadata.name", "NotIn", ["n1"]),))], False),
    ],
)
def test_required_node_affinity(terms: list[Any], expected: bool) -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert affinity.requires(spec_of(affinity={"nodeAffinity": required}), NODE) is expected


def test_node_selectors_and_preferences() -> None:
    assert affinity.requires(spec_of(nodeSelector={"zone": "a"}), NODE)
    assert not affinity.requires(spec_of(nodeSelector={"zone": "b"}), NODE)
    preferred = [
        {"weight": 10, "preference": term(("zone", "In", ["a"]))},
        {"weight": 5, "preference": term(("zone", "In", ["b"]))},
        {"weight": 3, "preference": term()},
    ]
    wanted = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert affinity.preference(spec_of(affinity=wanted), NODE) == 10


def test_pod_affinity_terms() -> None:
    selector = {"matchLabels": {"app": "web"}}
    tree = {
        "metadata": {"namespace": "here"},
        "spec": {
            "affinity": {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"labelSelector": selector, "topologyKey": "host"},
                        {"labelSelector": selector, "topologyKey": "host", "namespaceSelector": {}},
                    ],
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 7, "podAffinityTerm": {"topologyKey": "zone"}}
                    ],
                }
            }
        },
    }
    pod = codec.from_tree(v1.Pod, tree)
    own, everywhere = affinity.required_anti_affinity(pod)
    assert own.matches("here", {"app": "web"}, {})
    assert not own.matches("there", {"app": "web"}, {})
    assert everywhere.matches("there", {"app": "web"}, {})
    (preferred,) = affinity.preferred_terms(pod)
    assert (preferred.weight, preferred.topology_key) == (-7, "zone")
    assert not preferred.matches("here", {}, {}), "an absent selector means no pod"


def test_host_ports() -> None:
    spec = spec_of(
        containers=[{"name": "c", "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]}]
    )
    (port,) = ports.host_ports(spec)
    assert port == ports.HostPort("0.0.0.0", "TCP", 8080)
    assert port.conflicts(ports.HostPort("10.0.0.1", "TCP", 8080))
    assert not ports.HostPort("10.0.0.2", "TCP", 8080).conflicts(ports.HostPort("10.0.0.1", "TCP", 8080))
    assert not port.conflicts(ports.HostPort("0.0.0.0", "UDP", 8080))
    assert ports.conflicting([port], []) is None


def test_conditions_keep_their_transition_time_while_the_status_stays() -> None:
    ready = v1.PodCondition(type="Ready", status="False", reason="A")
    first = conditions.with_condition((), ready, "t1")
    again = conditions.with_condition(first, v1.PodCondition(type="Ready", status="False", reason="B"), "t2")
    assert (again[0].reason, again[0].last_transition_time) == ("B", "t1")
    turned = conditions.with_condition(again, v1.PodCondition(type="Ready", status="True"), "t3")
    assert turned[0].last_transition_time == "t3"
    assert conditions.is_true(turned, "Ready")
    assert conditions.without(turned, "Ready") == ()


RUN: dict[str, Any] = {"state": {"running": {}}, "started": True}
WAIT: dict[str, Any] = {"state": {"waiting": {}}}
GOOD: dict[str, Any] = {"state": {"terminated": {"exitCode": 0}}}
BAD: dict[str, Any] = {"state": {"terminated": {"exitCode": 1}}}
BACK_OFF: dict[str, Any] = {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}


def phase_of(policy: str, containers: list[Any], init: list[Any] = [], ending: bool = False) -> str:  # noqa: B006
    spec = spec_of(
        restartPolicy=policy,
        containers=[{"name": f"c{i}"} for i in range(len(containers))],
        initContainers=[{"name": f"i{i}"} for i in range(len(init))],
    )
    shown = [(f"c{i}", state) for i, state in enumerate(containers)] + [(f"i{i}", s) for i, s in enumerate(init)]
    statuses = [codec.from_tree(v1.ContainerStatus, {"name": name, **state}) for name, state in shown if state]
    return phase.of_containers(spec, statuses, ending=ending)


@pytest.mark.parametrize(
    ("policy", "containers", "init", "expected"),
    [
        ("Always", [None], [], "Pending"),
        ("Always", [WAIT], [], "Pending"),
        ("Always", [RUN], [], "Running"),
        ("Always", [RUN, WAIT], [], "Pending"),
        ("Always", [RUN, BAD], [], "Running"),
        ("Always", [GOOD], [], "Running"),
        ("Always", [BACK_OFF], [], "Running"),
        ("Never", [GOOD], [], "Succeeded"),
        ("Never", [GOOD, BAD], [], "Failed"),
        ("OnFailure", [BAD], [], "Running"),
        ("OnFailure", [GOOD], [], "Succeeded"),
        ("Always", [None], [RUN], "Pending"),
        ("Always", [None], [BAD], "Pending"),
        ("Never", [None], [BAD], "Failed"),
        ("Always", [RUN], [GOOD], "Running"),
    ],
)
def test_phases(policy: str, containers: list[Any], init: list[Any], expected: str) -> None:
    assert phase_of(policy, containers, init) == expected


def test_an_ending_pod_fails_or_succeeds_whatever_its_policy() -> None:
    assert phase_of("Always", [BAD], ending=True) == "Failed"
    assert phase_of("Always", [GOOD], ending=True) == "Succeeded"


def test_a_container_that_its_own_rules_bring_back_keeps_the_pod_running() -> None:
    spec = spec_of(restartPolicy="Never", containers=[{"name": "c"}], initContainers=[{"name": "i"}])
    done = codec.from_tree(v1.ContainerStatus, {"name": "i", **GOOD})
    failed = codec.from_tree(v1.ContainerStatus, {"name": "c", **BAD})
    assert phase.of_containers(spec, [done, failed], returning=["c"]) == "Running"
    assert phase.of_containers(spec, [done, failed], returning=["c"], ending=True) == "Failed"
    trying = codec.from_tree(v1.ContainerStatus, {"name": "i", **BAD})
    assert phase.of_containers(spec, [trying], returning=["i"]) == "Pending"


def test_a_sidecar_must_start_before_the_pod_runs() -> None:
    spec = spec_of(restartPolicy="Always", containers=[{"name": "c"}], initContainers=[asking("s", "Always")])
    app = codec.from_tree(v1.ContainerStatus, {"name": "c", **RUN})
    starting = codec.from_tree(v1.ContainerStatus, {"name": "s", "state": {"running": {}}, "started": False})
    assert phase.of_containers(spec, [app, starting]) == "Pending"
    assert phase.of_containers(spec, [app, starting], initialized=True) == "Running"


def test_priority() -> None:
    assert priority.of_pod(v1.Pod(spec=v1.PodSpec(priority=7))) == 7
    assert priority.of_pod(v1.Pod(spec=v1.PodSpec())) == 0
    assert priority.is_critical(v1.Pod(spec=v1.PodSpec(priority=2_000_000_000)))
    assert not priority.may_preempt(v1.Pod(spec=v1.PodSpec(preemption_policy="Never")))
