"""Whether an exited container runs again, and when: restart policies, restart rules and the crash-loop back-off.

Sources: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy, KEP-5307 (restart rules).
"""

from __future__ import annotations

from msgspec import Struct

from podkeeper.api.core import v1
from podkeeper.api.pods.requests import is_sidecar

FIRST_DELAY = 10.0
MAX_DELAY = 300.0
FORGET_AFTER = 2 * MAX_DELAY


class RestartBackOff(Struct, frozen=True):
    """How long the next restart of one container waits, in seconds, and when that was decided (wall time)."""

    delay: float
    updated: float


def held_until(entry: RestartBackOff | None, finished_at: float) -> float | None:
    """Until when a container that ended at ``finished_at`` must wait; None when it need not."""
    if entry is None or finished_at - entry.updated > FORGET_AFTER:
        return None
    return finished_at + entry.delay


def next_backoff(entry: RestartBackOff | None, finished_at: float, now: float) -> RestartBackOff:
    """The entry after one more restart: 10 s, doubled up to 300 s, from the start again after 10 quiet minutes."""
    if entry is None or finished_at - entry.updated > FORGET_AFTER:
        return RestartBackOff(FIRST_DELAY, now)
    return RestartBackOff(min(entry.delay * 2, MAX_DELAY), now)


def restarts_after(pod: v1.Pod, container: v1.Container, exit_code: int, *, init: bool = False) -> bool:
    """Whether ``container`` is started again after it exited with ``exit_code``.

    An init container that succeeded is done whatever the policy says; a sidecar always comes back.
    """
    if init and is_sidecar(container):
        return True
    if any(_rule_matches(rule, exit_code) for rule in container.restart_policy_rules):
        return True
    policy = container.restart_policy or pod.spec.restart_policy or "Always"
    if policy == "Always" and not init:
        return True
    return policy != "Never" and exit_code != 0


def restarts_on_failure(pod: v1.Pod, container: v1.Container, *, init: bool = False) -> bool:
    """Whether a container that is killed (exit code 137) comes back."""
    return restarts_after(pod, container, 137, init=init)


def _rule_matches(rule: v1.ContainerRestartRule, exit_code: int) -> bool:
    if rule.action != "Restart" or rule.exit_codes is None:
        return False
    listed = exit_code in rule.exit_codes.values
    return listed if rule.exit_codes.operator == "In" else not listed
