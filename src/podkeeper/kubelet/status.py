"""A pod's status, derived from facts: what the runtime says, what probes say, why something waits. Pure.

Phase and container states follow upstream's kubelet_pods.go; conditions are made in ``conditions``.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.pods import conditions, qos
from podkeeper.api.pods import phase as phases
from podkeeper.api.pods.requests import is_sidecar
from podkeeper.kubelet.conditions import PodConditionFacts, disruption_target, pod_conditions
from podkeeper.kubelet.container_statuses import StatusSources, container_statuses
from podkeeper.kubelet.plan import NO_FINDINGS, ProbeFindings
from podkeeper.kubelet.pods import is_terminal, uses_host_network
from podkeeper.kubelet.resize import ResizeRefusal, pending_condition, progress_condition
from podkeeper.kubelet.restart import restarts_after
from podkeeper.kubelet.runtime_state import PodRuntime


class Verdict(Struct, frozen=True):
    """A phase decided by the kubelet, not by containers: rejected, evicted, past its deadline. ``disruption`` adds the
    condition DisruptionTarget, which tells owners that the pod did not fail by itself."""

    phase: str
    reason: str
    message: str
    disruption: bool = False


class StatusFacts(Struct, frozen=True):
    """What a status is made of. ``pod`` carries the status that the API has; ``waiting`` is reason and message by
    container; ``ended`` says that no container will start any more; ``messages`` are last words and ``resize_errors``
    why resources could not be given yet, by container id."""

    pod: v1.Pod
    runtime: PodRuntime
    host_ips: tuple[str, ...]
    now: float
    started_at: float
    probes: ProbeFindings = NO_FINDINGS
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    resize: ResizeRefusal | None = None
    resize_errors: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False
    sandbox_ready: bool = False


def build_status(facts: StatusFacts) -> v1.PodStatus:
    """The status to show now; conditions of others and transition times are carried over."""
    pod, before = facts.pod, facts.pod.status
    sources = StatusSources(pod, facts.runtime, facts.probes, facts.waiting, facts.messages, facts.ended)
    rejected = facts.verdict is not None and not facts.runtime.sandboxes
    init, ordinary, ephemeral = ((), (), ()) if rejected else container_statuses(sources)
    phase = _phase(facts, init, ordinary)
    ips = _pod_ips(facts, phase)
    status = v1.PodStatus(
        phase=phase,
        conditions=(),
        message=facts.verdict.message if facts.verdict else _kept(before.message, before),
        reason=facts.verdict.reason if facts.verdict else _kept(before.reason, before),
        host_ip=facts.host_ips[0] if facts.host_ips else "",
        host_ips=tuple(v1.HostIP(ip=each) for each in facts.host_ips),
        pod_ip=ips[0] if ips else "",
        pod_ips=tuple(v1.PodIP(ip=each) for each in ips),
        start_time=before.start_time or timestamps.format_time(facts.started_at),
        init_container_statuses=init,
        container_statuses=ordinary,
        ephemeral_container_statuses=ephemeral,
        qos_class=before.qos_class or qos.of_pod(pod),
        observed_generation=pod.metadata.generation,
        nominated_node_name=before.nominated_node_name,
        resource_claim_statuses=before.resource_claim_statuses,
        resize=before.resize,
    )
    extra: tuple[v1.PodCondition, ...] = ()
    if facts.verdict is not None and facts.verdict.disruption:
        extra = (disruption_target(facts.verdict.message),)
    if facts.resize is not None:
        extra = (*extra, pending_condition(facts.resize))
    if not facts.ended and (progress := progress_condition(pod, facts.runtime, facts.resize_errors)) is not None:
        extra = (*extra, progress)
    return pod_conditions(pod, status, PodConditionFacts(facts.sandbox_ready, facts.now, extra))


def _phase(facts: StatusFacts, init: Sequence[v1.ContainerStatus], ordinary: Sequence[v1.ContainerStatus]) -> str:
    before = facts.pod.status
    if facts.verdict is not None:
        return facts.verdict.phase
    if is_terminal(before):
        return before.phase
    found = phases.of_containers(
        facts.pod.spec,
        (*init, *ordinary),
        ending=facts.ended,
        initialized=_was_initialized(facts.pod),
        returning=_returning(facts.pod, (*init, *ordinary)),
    )
    # A pod that ended before all its containers ran has failed.
    return phases.FAILED if facts.ended and found not in phases.TERMINAL else found


def _returning(pod: v1.Pod, statuses: Sequence[v1.ContainerStatus]) -> set[str]:
    """Containers between two runs that come back by what they say themselves: restartPolicy, restartPolicyRules."""
    ends = {
        each.name: each.state.terminated or each.last_state.terminated for each in statuses if not each.state.running
    }
    inits = [each for each in pod.spec.init_containers if not is_sidecar(each) and each.restart_policy]
    found = set()
    for container in (*inits, *(each for each in pod.spec.containers if each.restart_policy)):
        last, init = ends.get(container.name), container in inits
        if (
            last is not None
            and restarts_after(pod, container, last.exit_code, init=init)
            and (last.exit_code or not init)
        ):
            found.add(container.name)
    return found


def _was_initialized(pod: v1.Pod) -> bool:
    return conditions.is_true(pod.status.conditions, "Initialized")


def _kept(text: str, before: v1.PodStatus) -> str:
    """Reason and message of a pod that ended stay; those of a living one were somebody's passing remark."""
    return text if is_terminal(before) else ""


def _pod_ips(facts: StatusFacts, phase: str) -> tuple[str, ...]:
    """The sandbox's addresses; the last known ones stay shown after it is gone."""
    if uses_host_network(facts.pod):
        started = facts.runtime.sandbox is not None or facts.pod.status.pod_ip
        return facts.host_ips if started else ()
    if facts.runtime.ips:
        return facts.runtime.ips
    return tuple(each.ip for each in facts.pod.status.pod_ips) if phase != "Pending" else ()
