"""What to do for a pod, decided from facts alone: which sandbox to build, which containers to kill, start or hold.

``decide`` is pure and level-driven: it never looks at what was planned before, so performing a plan and deciding again
converges. Rules as upstream's kuberuntime: a changed sandbox kills everything and is rebuilt; init containers run in
order, each sidecar gating the next by its startup; then all others start in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.api.pods.requests import is_sidecar
from podkeeper.kubelet import labels
from podkeeper.kubelet.pods import all_containers, ephemeral_containers, format_pod, uses_host_network
from podkeeper.kubelet.resize import change_of
from podkeeper.kubelet.restart import RestartBackOff, held_until, restarts_after, restarts_on_failure
from podkeeper.kubelet.runtime_state import PodRuntime, restart_count
from podkeeper.runtime.cri import ContainerState, ContainerStatus, Resources, SandboxState

KEPT_DEAD = 1
NANOSECONDS = 1_000_000_000


class ProbeFailure(Struct, frozen=True):
    """A liveness or startup probe gave a container up; ``grace`` is the probe's own grace period."""

    kind: str
    grace: int | None = None


class ProbeFindings(Struct, frozen=True):
    """What probes say, by container id. A container without the probe in question counts as started or ready."""

    not_started: frozenset[str] = frozenset()
    not_ready: frozenset[str] = frozenset()
    failed: Mapping[str, ProbeFailure] = field(default_factory=dict)


NO_FINDINGS = ProbeFindings()


class StartDelay(Struct, frozen=True):
    """Why a container could not be started, and until when (wall time) it is not tried again; ``definition`` is the
    hash of what was tried: what has been changed since is tried at once."""

    reason: str
    message: str
    until: float
    definition: str


class PodFacts(Struct, frozen=True):
    """Everything ``decide`` looks at. ``owed`` are ids of containers that were killed in order to be replaced;
    ``delays`` are failed starts by container name; ``memory_capacity`` is the node's, in bytes."""

    pod: v1.Pod
    runtime: PodRuntime
    now: float
    probes: ProbeFindings = NO_FINDINGS
    backoffs: Mapping[tuple[str, str], RestartBackOff] = field(default_factory=dict)
    owed: frozenset[str] = frozenset()
    delays: Mapping[str, StartDelay] = field(default_factory=dict)
    memory_capacity: int = 0


class Kill(Struct, frozen=True):
    """Stop one running container; ``message`` is the Killing event's."""

    container_id: str
    name: str
    message: str
    grace: int | None = None
    replace: bool = False


class Start(Struct, frozen=True):
    """Create and start a container. ``after`` is its predecessor that ended, which the back-off counts from."""

    name: str
    attempt: int
    after: ContainerStatus | None = None


class Update(Struct, frozen=True):
    """Give a running container other resources."""

    container_id: str
    resources: Resources


class Hold(Struct, frozen=True):
    """A container that waits before it is started: CrashLoopBackOff, ImagePullBackOff, ..."""

    name: str
    reason: str
    message: str
    until: float


class Plan(Struct, frozen=True):
    """Steps in the order in which they are done: kills, stopped and new sandbox, starts, updates, removals."""

    kills: tuple[Kill, ...] = ()
    stop_sandboxes: tuple[str, ...] = ()
    create_sandbox: int | None = None
    sandbox_changed: bool = False
    starts: tuple[Start, ...] = ()
    updates: tuple[Update, ...] = ()
    holds: tuple[Hold, ...] = ()
    remove_containers: tuple[str, ...] = ()
    remove_sandboxes: tuple[str, ...] = ()
    finished: bool = False

    @property
    def wake_at(self) -> float | None:
        """Wall time at which the next hold ends."""
        return min((hold.until for hold in self.holds), default=None)

    @property
    def changes(self) -> bool:
        """Whether performing it changes what the next decision sees."""
        return bool(self.kills or self.stop_sandboxes or self.starts) or self.create_sandbox is not None


def decide(facts: PodFacts) -> Plan:
    """The plan for a pod that should run."""
    sandbox = usable_sandbox(facts.pod, facts.runtime)
    if sandbox is None:
        return _rebuild(facts)
    steps = _Steps(facts, sandbox)
    steps.ephemeral()
    if steps.initialise():
        steps.ordinary()
    return steps.plan()


def usable_sandbox(pod: v1.Pod, runtime: PodRuntime) -> str | None:
    """The id of the one living sandbox that fits the pod, or None when a new one is needed."""
    ready = [each for each in runtime.sandboxes if each.state is SandboxState.READY]
    newest = runtime.sandbox
    if newest is None or newest.state is not SandboxState.READY or len(ready) > 1:
        return None
    if not newest.ips and not uses_host_network(pod):
        return None
    return newest.id


def _rebuild(facts: PodFacts) -> Plan:
    """Kill what runs, then a new sandbox, unless no container would run in it."""
    runtime = facts.runtime
    kills = tuple(
        Kill(each.id, each.name, f"Stopping container {each.name}")
        for each in runtime.containers
        if each.state in (ContainerState.RUNNING, ContainerState.UNKNOWN)
    )
    stale = tuple(each.id for each in runtime.sandboxes)
    if runtime.containers and not _anything_left_to_run(facts):
        return Plan(kills=kills, finished=not kills)
    attempt = runtime.sandbox.attempt + 1 if runtime.sandbox else 0
    return Plan(kills=kills, stop_sandboxes=stale, create_sandbox=attempt, sandbox_changed=bool(stale))


def _anything_left_to_run(facts: PodFacts) -> bool:
    pod = facts.pod
    for container in pod.spec.containers:
        last = facts.runtime.latest(container.name)
        if last is None:
            if any(restarts_on_failure(pod, each) for each in pod.spec.containers):
                return True
        elif last.state is ContainerState.EXITED:
            if last.id in facts.owed or restarts_after(pod, container, last.exit_code):
                return True
        elif restarts_on_failure(pod, container):
            return True
    return False


class _Steps:
    """Collects the steps for a pod whose sandbox is good."""

    def __init__(self, facts: PodFacts, sandbox_id: str) -> None:
        self._facts, self._sandbox = facts, sandbox_id
        self._pod, self._runtime = facts.pod, facts.runtime
        self._kills: list[Kill] = []
        self._starts: list[Start] = []
        self._updates: list[Update] = []
        self._holds: list[Hold] = []
        self._abandoned: list[str] = []
        self._busy = False
        self._failed = False

    def ephemeral(self) -> None:
        """Ephemeral containers are started once and never again."""
        for container in ephemeral_containers(self._pod):
            if self._runtime.latest(container.name) is None:
                self._starts.append(Start(container.name, 0))

    def initialise(self) -> bool:
        """Moves the init containers on; True when the ordinary containers may run."""
        inits = self._pod.spec.init_containers
        begun = self._has_begun(self._pod.spec.containers)
        for index, container in enumerate(inits):
            if is_sidecar(container):
                up = self._keep_sidecar(container)
                blocked = not up and not begun and not self._has_begun(inits[index + 1 :])
            else:
                blocked = not begun and not self._init_done(container)
            if blocked:
                self._busy = not self._failed
                return False
        return True

    def ordinary(self) -> None:
        """Keeps every ordinary container running as its restart policy says."""
        for container in self._pod.spec.containers:
            self._keep_ordinary(container)

    def plan(self) -> Plan:
        """The collected steps."""
        obsolete = _obsolete_containers(self._pod, self._runtime)
        return Plan(
            kills=(*self._kills, *self._strays()),
            starts=tuple(self._starts),
            updates=tuple(self._updates),
            holds=tuple(self._holds),
            remove_containers=(*self._abandoned, *obsolete),
            remove_sandboxes=_obsolete_sandboxes(self._runtime, self._sandbox, obsolete),
            finished=not self._busy,
        )

    def _strays(self) -> Iterator[Kill]:
        """Containers that run beside the one of their name that counts, or in a sandbox that is given up."""
        for each in self._runtime.running():
            if self._runtime.latest_in(each.name, self._sandbox) is not each:
                yield Kill(each.id, each.name, f"Stopping container {each.name}")

    def _has_begun(self, containers: Iterable[v1.Container]) -> bool:
        return any(self._runtime.latest_in(each.name, self._sandbox) is not None for each in containers)

    def _keep_sidecar(self, container: v1.Container) -> bool:
        """True when it runs and has started."""
        current = self._current(container)
        if current is None or current.state is not ContainerState.RUNNING:
            self._start(container, current or self._runtime.latest(container.name))
            return False
        if self._kill_if_unfit(container, current, init=True):
            return False
        return current.id not in self._facts.probes.not_started

    def _init_done(self, container: v1.Container) -> bool:
        current = self._current(container)
        if current is None:
            self._start(container, self._runtime.latest(container.name))
            return False
        if current.state is ContainerState.RUNNING:
            return False
        if current.state is ContainerState.EXITED and current.exit_code == 0:
            return True
        if restarts_after(self._pod, container, current.exit_code or 137, init=True):
            self._start(container, current)
        else:
            self._failed = True
        return False

    def _keep_ordinary(self, container: v1.Container) -> None:
        current = self._current(container)
        if current is not None and current.state is ContainerState.RUNNING:
            self._busy = True
            self._kill_if_unfit(container, current)
            return
        last = current or self._runtime.latest(container.name)
        if last is None or last.id in self._facts.owed or self._comes_back(container, last):
            self._busy = True
            self._start(container, last)

    def _comes_back(self, container: v1.Container, last: ContainerStatus) -> bool:
        if last.state is ContainerState.UNKNOWN:
            return restarts_on_failure(self._pod, container)
        return last.state is not ContainerState.EXITED or restarts_after(self._pod, container, last.exit_code)

    def _current(self, container: v1.Container) -> ContainerStatus | None:
        """Its newest container in this sandbox. One that was created but never started is given up, and one of
        which nobody knows what became of it, if another one is to take its place."""
        current = self._runtime.latest_in(container.name, self._sandbox)
        if current is not None and current.state is ContainerState.UNKNOWN:
            if restarts_on_failure(self._pod, container, init=container in self._pod.spec.init_containers):
                self._abandoned.append(current.id)
            return current
        if current is not None and current.state is ContainerState.CREATED:
            self._abandoned.append(current.id)
            older = [each for each in self._runtime.history(container.name) if each.id != current.id]
            return next((each for each in older if each.sandbox_id == self._sandbox), None)
        return current

    def _kill_if_unfit(self, container: v1.Container, current: ContainerStatus, *, init: bool = False) -> bool:
        kill = unfit(self._facts, container, current, init=init)
        change = change_of(self._pod, container, current, self._facts.memory_capacity) if kill is None else None
        if change is not None and change.restart:
            text = f"Container {container.name} resize requires restart"
            kill = Kill(current.id, container.name, text, replace=True)
        elif change is not None:
            self._updates.append(Update(current.id, change.resources))
        if kill is not None:
            self._kills.append(kill)
        return kill is not None

    def _start(self, container: v1.Container, last: ContainerStatus | None) -> None:
        hold = self._hold(container, last)
        if hold is not None:
            self._holds.append(hold)
            return
        attempt = 0 if last is None else restart_count(last) + 1
        ended = last is not None and last.state is ContainerState.EXITED
        self._starts.append(Start(container.name, attempt, last if ended else None))

    def _hold(self, container: v1.Container, last: ContainerStatus | None) -> Hold | None:
        delay = self._facts.delays.get(container.name)
        definition = labels.container_hash(container)
        if delay is not None and delay.until > self._facts.now and delay.definition == definition:
            return Hold(container.name, delay.reason, delay.message, delay.until)
        if last is None or last.state is not ContainerState.EXITED:
            return None
        entry = self._facts.backoffs.get((container.name, definition))
        until = held_until(entry, last.finished_at / NANOSECONDS)
        if until is None or entry is None or until <= self._facts.now:
            return None
        text = (
            f"back-off {go_duration(entry.delay)} restarting failed container={container.name} "
            f"pod={format_pod(self._pod)}"
        )
        return Hold(container.name, "CrashLoopBackOff", text, until)


def unfit(facts: PodFacts, container: v1.Container, current: ContainerStatus, *, init: bool) -> Kill | None:
    """Why a running container must be killed: changed definition, failed liveness or startup probe."""
    written = current.annotations.get(labels.HASH)
    if written is not None and written != labels.container_hash(container):
        text = f"Container {container.name} definition changed, will be restarted"
        return Kill(current.id, container.name, text, replace=True)
    failure = facts.probes.failed.get(current.id)
    if failure is None:
        return None
    again = ", will be restarted" if restarts_on_failure(facts.pod, container, init=init) else ""
    text = f"Container {container.name} failed {failure.kind} probe{again}"
    return Kill(current.id, container.name, text, failure.grace)


def _obsolete_containers(pod: v1.Pod, runtime: PodRuntime) -> tuple[str, ...]:
    """Ended containers beyond the newest of each name and the one before it, which ``logs --previous`` shows."""
    obsolete: list[str] = []
    for name in {each.name for each in all_containers(pod)}:
        ended = [each for each in runtime.history(name)[1:] if each.state is ContainerState.EXITED]
        obsolete += [each.id for each in ended[KEPT_DEAD:]]
    return tuple(obsolete)


def _obsolete_sandboxes(runtime: PodRuntime, current: str, obsolete: Sequence[str]) -> tuple[str, ...]:
    holding = {each.sandbox_id for each in runtime.containers if each.id not in obsolete}
    return tuple(each.id for each in runtime.sandboxes if each.id != current and each.id not in holding)


def go_duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: ``40s``, ``2m40s``, ``5m0s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
