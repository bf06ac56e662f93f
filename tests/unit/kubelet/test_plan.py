"""What the planner decides from facts, rule by rule, and that performing its plans always comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.kubelet import labels
from podkeeper.kubelet.plan import Plan, PodFacts, ProbeFailure, ProbeFindings, StartDelay, decide
from podkeeper.kubelet.restart import RestartBackOff, next_backoff, restarts_after
from podkeeper.kubelet.runtime_state import PodRuntime
from podkeeper.runtime.cri import ContainerState, ContainerStatus, SandboxState, SandboxStatus

NOW = 1_000_000.0
APP = v1.Container(name="app", image="app:1")
SIDE = v1.Container(name="side", image="side:1", restart_policy="Always")
INIT = v1.Container(name="init", image="init:1")
INIT2 = v1.Container(name="init2", image="init:1")

Make = Callable[..., v1.Pod]


def sandbox(attempt: int = 0, *, ready: bool = True, ips: tuple[str, ...] = ("10.0.0.2",)) -> SandboxStatus:
    state = SandboxState.READY if ready else SandboxState.NOTREADY
    return SandboxStatus(f"s{attempt}", "web", "default", "uid", attempt, state, attempt, ips if ready else ())


def container(
    spec: v1.Container, state: ContainerState = ContainerState.RUNNING, *, code: int = 0, attempt: int = 0, box: int = 0
) -> ContainerStatus:
    return ContainerStatus(
        id=f"{spec.name}-{box}-{attempt}",
        sandbox_id=f"s{box}",
        name=spec.name,
        attempt=attempt,
        state=state,
        image=spec.image,
        image_id=spec.image,
        image_ref="",
        created_at=box * 1000 + attempt,
        finished_at=int(NOW * 1e9) if state is ContainerState.EXITED else 0,
        exit_code=code,
        annotations={labels.HASH: labels.container_hash(spec), labels.RESTART_COUNT: str(attempt)},
    )


def exited(spec: v1.Container, code: int = 0, **where: int) -> ContainerStatus:
    return container(spec, ContainerState.EXITED, code=code, **where)


def plan(pod: v1.Pod, *containers: ContainerStatus, boxes: tuple[SandboxStatus, ...] = (), **facts: Any) -> Plan:
    runtime = PodRuntime.of(boxes or (sandbox(),), containers)
    return decide(PodFacts(pod, runtime, NOW, **facts))


def starts(found: Plan) -> list[str]:
    return [each.name for each in found.starts]


def kills(found: Plan) -> list[str]:
    return [each.name for each in found.kills]


# -- the sandbox ----------------------------------------------------------------------------------------------


def test_a_new_pod_gets_a_sandbox_first(make_pod: Make) -> None:
    found = decide(PodFacts(make_pod(), PodRuntime(), NOW))
    assert (found.create_sandbox, found.starts, found.sandbox_changed) == (0, (), False)


def test_a_dead_sandbox_is_stopped_and_rebuilt(make_pod: Make) -> None:
    found = plan(make_pod(), container(APP), boxes=(sandbox(ready=False),))
    assert kills(found) == ["app"]
    assert found.stop_sandboxes == ("s0",)
    assert found.create_sandbox == 1
    assert found.sandbox_changed


def test_a_sandbox_without_an_address_is_rebuilt_unless_the_pod_uses_the_nodes(make_pod: Make) -> None:
    assert plan(make_pod(), boxes=(sandbox(ips=()),)).create_sandbox == 1
    assert starts(plan(make_pod(host_network=True), boxes=(sandbox(ips=()),))) == ["app"]


def test_of_two_living_sandboxes_none_is_kept(make_pod: Make) -> None:
    found = plan(make_pod(), boxes=(sandbox(0), sandbox(1)))
    assert found.create_sandbox == 2
    assert set(found.stop_sandboxes) == {"s0", "s1"}


def test_no_sandbox_is_rebuilt_for_a_pod_that_may_not_restart(make_pod: Make) -> None:
    dead = (sandbox(ready=False),)
    never = make_pod(restart_policy="Never")
    assert kills(plan(never, container(APP), boxes=dead)) == ["app"]
    assert plan(never, container(APP), boxes=dead).create_sandbox is None
    assert plan(never, exited(APP, 137), boxes=dead).finished
    on_failure = make_pod(restart_policy="OnFailure")
    assert plan(on_failure, exited(APP, 0), boxes=dead).finished
    assert plan(on_failure, exited(APP, 1), boxes=dead).create_sandbox == 1


def test_a_sandbox_that_died_before_any_container_is_rebuilt_even_then(make_pod: Make) -> None:
    assert plan(make_pod(restart_policy="Never"), boxes=(sandbox(ready=False),)).create_sandbox == 1


def test_after_a_rebuild_everything_starts_anew_in_order(make_pod: Make) -> None:
    pod = make_pod(init_containers=(INIT,))
    old = (exited(INIT, 0), exited(APP, 137))
    boxes = (sandbox(0, ready=False), sandbox(1))
    first = plan(pod, *old, boxes=boxes)
    assert starts(first) == ["init"]
    second = plan(pod, *old, exited(INIT, 0, box=1, attempt=1), boxes=boxes)
    assert starts(second) == ["app"]
    assert second.starts[0].attempt == 1


# -- ordinary containers --------------------------------------------------------------------------------------


def test_containers_start_in_the_order_of_the_spec(make_pod: Make) -> None:
    other = v1.Container(name="other", image="app:1")
    assert starts(plan(make_pod(containers=(other, APP)))) == ["other", "app"]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_an_exited_container_comes_back_as_the_policy_says(make_pod: Make, policy: str, code: int, again: bool) -> None:
    found = plan(make_pod(restart_policy=policy), exited(APP, code))
    assert starts(found) == (["app"] if again else [])
    assert found.finished is not again
    if again:
        assert found.starts[0].attempt == 1


def test_a_containers_own_policy_and_rules_come_first(make_pod: Make) -> None:
    stubborn = v1.Container(name="app", image="app:1", restart_policy="Always")
    assert starts(plan(make_pod(containers=(stubborn,), restart_policy="Never"), exited(stubborn, 1))) == ["app"]
    rule = v1.ContainerRestartRule(
        action="Restart", exit_codes=v1.ContainerRestartRuleOnExitCodes(operator="In", values=(42,))
    )
    ruled = v1.Container(name="app", image="app:1", restart_policy="Never", restart_policy_rules=(rule,))
    pod = make_pod(containers=(ruled,))
    assert starts(plan(pod, exited(ruled, 42))) == ["app"]
    assert plan(pod, exited(ruled, 41)).finished


def test_another_image_replaces_the_running_container(make_pod: Make) -> None:
    newer = v1.Container(name="app", image="app:2")
    found = plan(make_pod(containers=(newer,), restart_policy="Never"), container(APP))
    assert [(each.message, each.replace) for each in found.kills] == [
        ("Container app definition changed, will be restarted", True)
    ]
    owed = plan(make_pod(containers=(newer,), restart_policy="Never"), exited(APP, 137), owed=frozenset({"app-0-0"}))
    assert starts(owed) == ["app"]


def test_failed_probes_kill_with_their_reason_and_grace(make_pod: Make) -> None:
    failed = ProbeFindings(failed={"app-0-0": ProbeFailure("liveness", 7)})
    found = plan(make_pod(), container(APP), probes=failed)
    assert [(each.message, each.grace) for each in found.kills] == [
        ("Container app failed liveness probe, will be restarted", 7)
    ]
    never = plan(make_pod(restart_policy="Never"), container(APP), probes=failed)
    assert never.kills[0].message == "Container app failed liveness probe"


def test_a_container_that_was_created_but_never_started_is_given_up(make_pod: Make) -> None:
    found = plan(make_pod(), container(APP, ContainerState.CREATED))
    assert found.remove_containers == ("app-0-0",)
    assert starts(found) == ["app"]


# -- back-off -------------------------------------------------------------------------------------------------


def backed_off(delay: float) -> dict[tuple[str, str], RestartBackOff]:
    return {("app", labels.container_hash(APP)): RestartBackOff(delay, NOW - 1)}


def test_a_crash_waits_for_its_back_off(make_pod: Make) -> None:
    found = plan(make_pod(), exited(APP, 1), backoffs=backed_off(160))
    assert not found.starts
    hold = found.holds[0]
    assert (hold.reason, hold.until) == ("CrashLoopBackOff", NOW + 160)
    assert hold.message == "back-off 2m40s restarting failed container=app pod=web_default(uid-of-web)"
    assert not found.finished


def test_a_changed_image_does_not_wait_for_the_old_ones_back_off(make_pod: Make) -> None:
    newer = v1.Container(name="app", image="app:2")
    assert starts(plan(make_pod(containers=(newer,)), exited(APP, 1), backoffs=backed_off(160))) == ["app"]


def test_the_back_off_doubles_to_five_minutes_and_is_forgotten_after_ten() -> None:
    entry = None
    delays = []
    now = 0.0
    for _ in range(7):
        entry = next_backoff(entry, now, now)
        delays.append(entry.delay)
        now += entry.delay
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert next_backoff(entry, now + 601, now + 601).delay == 10


def test_a_failed_start_is_held_until_its_time(make_pod: Make) -> None:
    delay = {"app": StartDelay("ImagePullBackOff", "Back-off", NOW + 5, labels.container_hash(APP))}
    found = plan(make_pod(), delays=delay)
    assert [(each.reason, each.until) for each in found.holds] == [("ImagePullBackOff", NOW + 5)]
    assert starts(plan(make_pod(), delays={"app": replace(delay["app"], until=NOW)})) == ["app"]


# -- init containers and sidecars -----------------------------------------------------------------------------


def test_init_containers_run_one_after_the_other(make_pod: Make) -> None:
    pod = make_pod(init_containers=(INIT, INIT2))
    assert starts(plan(pod)) == ["init"]
    assert starts(plan(pod, container(INIT))) == []
    assert starts(plan(pod, exited(INIT))) == ["init2"]
    assert starts(plan(pod, exited(INIT), exited(INIT2))) == ["app"]


def test_a_failed_init_container_is_tried_again_or_ends_the_pod(make_pod: Make) -> None:
    assert starts(plan(make_pod(init_containers=(INIT,)), exited(INIT, 1))) == ["init"]
    never = plan(make_pod(init_containers=(INIT,), restart_policy="Never"), exited(INIT, 1))
    assert never.finished
    assert not never.starts


def test_a_sidecar_gates_what_follows_by_its_startup(make_pod: Make) -> None:
    pod = make_pod(init_containers=(SIDE, INIT))
    assert starts(plan(pod)) == ["side"]
    waiting = ProbeFindings(not_started=frozenset({"side-0-0"}))
    assert starts(plan(pod, container(SIDE), probes=waiting)) == []
    assert starts(plan(pod, container(SIDE))) == ["init"]
    assert starts(plan(pod, container(SIDE), exited(INIT))) == ["app"]


def test_a_sidecar_comes_back_while_the_others_go_on(make_pod: Make) -> None:
    pod = make_pod(init_containers=(SIDE,), restart_policy="Never")
    found = plan(pod, exited(SIDE, 0), container(APP))
    assert starts(found) == ["side"]
    assert not found.kills


def test_a_sidecar_that_was_up_once_does_not_hold_up_those_after_it(make_pod: Make) -> None:
    pod = make_pod(init_containers=(SIDE, INIT, INIT2))
    assert starts(plan(pod, exited(SIDE, 1), exited(INIT))) == ["side", "init2"]


def test_an_init_container_that_succeeded_is_done_under_any_policy(make_pod: Make) -> None:
    assert not restarts_after(make_pod(), INIT, 0, init=True)
    assert restarts_after(make_pod(), INIT, 1, init=True)
    assert restarts_after(make_pod(restart_policy="Never"), SIDE, 0, init=True)


def test_sidecars_do_not_keep_a_finished_pod_alive(make_pod: Make) -> None:
    pod = make_pod(init_containers=(SIDE,), restart_policy="Never")
    assert plan(pod, container(SIDE), exited(APP, 0)).finished


def test_init_containers_are_not_run_again_once_the_pod_has_begun(make_pod: Make) -> None:
    pod = make_pod(init_containers=(INIT,))
    assert starts(plan(pod, exited(APP, 1))) == ["app"]  # the init container was collected meanwhile


# -- ephemeral containers, removals ---------------------------------------------------------------------------


def test_ephemeral_containers_start_once(make_pod: Make) -> None:
    debug = v1.EphemeralContainer(name="debug", image="app:1")
    pod = make_pod(ephemeral_containers=(debug,))
    assert starts(plan(pod, container(APP))) == ["debug"]
    ended = exited(v1.Container(name="debug", image="app:1"), 1)
    assert starts(plan(pod, container(APP), ended)) == []


def test_only_the_last_dead_container_is_kept(make_pod: Make) -> None:
    history = [exited(APP, 1, attempt=number) for number in range(3)]
    found = plan(make_pod(), *history, container(APP, attempt=3))
    assert set(found.remove_containers) == {"app-0-0", "app-0-1"}


def test_an_old_sandbox_goes_when_nothing_worth_keeping_is_in_it(make_pod: Make) -> None:
    boxes = (sandbox(0, ready=False), sandbox(1))
    kept = plan(make_pod(), exited(APP, 1), container(APP, box=1, attempt=1), boxes=boxes)
    assert kept.remove_sandboxes == ()
    later = exited(APP, 1, box=1, attempt=1), container(APP, box=1, attempt=2)
    assert plan(make_pod(), exited(APP, 1), *later, boxes=boxes).remove_sandboxes == ("s0",)


# -- the whole: a plan performed leads to a pod at rest ---------------------------------------------------------


class World:
    """Performs plans on plain values; containers do nothing by themselves."""

    def __init__(self, pod: v1.Pod, boxes: tuple[SandboxStatus, ...], containers: tuple[ContainerStatus, ...]) -> None:
        self.pod, self.boxes, self.containers = pod, list(boxes), list(containers)
        self.owed: set[str] = set()

    def decide(self) -> Plan:
        runtime = PodRuntime.of(self.boxes, self.containers)
        return decide(PodFacts(self.pod, runtime, NOW, owed=frozenset(self.owed)))

    def perform(self, found: Plan) -> None:
        for kill in found.kills:
            self.owed |= {kill.container_id} if kill.replace else set()
            self._end(kill.container_id, 137)
        for box in [each for each in self.boxes if each.id in found.stop_sandboxes]:
            self.boxes[self.boxes.index(box)] = replace(box, state=SandboxState.NOTREADY, ips=())
        if found.create_sandbox is not None:
            self.boxes.append(sandbox(found.create_sandbox))
        for start in found.starts:
            spec = next(
                each for each in (*self.pod.spec.init_containers, *self.pod.spec.containers) if each.name == start.name
            )
            born = container(spec, attempt=start.attempt, box=self.boxes[-1].attempt)
            self.containers.append(replace(born, created_at=10_000 + len(self.containers)))
            if spec in self.pod.spec.init_containers and spec.restart_policy != "Always":
                self._end(born.id, 0)
        gone = set(found.remove_containers)
        self.containers = [each for each in self.containers if each.id not in gone]
        self.boxes = [each for each in self.boxes if each.id not in found.remove_sandboxes]

    def finish_init(self) -> bool:
        """Ends init containers that run; whether there were any."""
        current = self.boxes[-1].id if self.boxes else ""
        busy = [each for each in self.containers if each.name == "init" and each.sandbox_id == current]
        running = [each for each in busy if each.state is ContainerState.RUNNING]
        for each in running:
            self._end(each.id, 0)
        return bool(running)

    def _end(self, container_id: str, code: int) -> None:
        for index, each in enumerate(self.containers):
            if each.id == container_id:
                self.containers[index] = replace(each, state=ContainerState.EXITED, exit_code=code)


states = st.sampled_from(list(ContainerState))
histories = st.lists(
    st.tuples(st.sampled_from([APP, SIDE, INIT]), states, st.sampled_from([0, 1, 137]), st.integers(0, 2)), max_size=5
)


@settings(max_examples=150)
@given(
    histories,
    st.lists(st.booleans(), max_size=3),
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.sampled_from([(), (INIT,), (SIDE,), (SIDE, INIT), (INIT, SIDE)]),
)
def test_from_any_state_plans_come_to_rest(
    history: list[tuple[v1.Container, ContainerState, int, int]],
    ready: list[bool],
    policy: str,
    inits: tuple[v1.Container, ...],
) -> None:
    pod = v1.Pod(
        metadata=meta.ObjectMeta(name="web", namespace="default", uid="uid"),
        spec=v1.PodSpec(containers=(APP,), init_containers=inits, restart_policy=policy),
    )
    boxes = tuple(sandbox(number, ready=up) for number, up in enumerate(ready))
    begun = tuple(
        container(spec, state, code=code, attempt=number, box=box)
        for number, (spec, state, code, box) in enumerate(history)
        if box < len(boxes)
    )
    world = World(pod, boxes, begun)
    for _ in range(12):
        found = world.decide()
        if not found.changes and not world.finish_init():
            break
        world.perform(found)
    assert not found.changes, "the plans never came to rest"
    running = [each for each in world.containers if each.state is ContainerState.RUNNING]
    if not found.finished:
        assert {each.name for each in running} >= {"app"}
    assert len({each.name for each in running}) == len(running), "two of one name run"
