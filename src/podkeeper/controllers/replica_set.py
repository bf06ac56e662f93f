"""ReplicaSet: as many pods of the template as are wanted; lost ones are replaced, surplus ones deleted, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from podkeeper.api import codec, timestamps
from podkeeper.api.apps import v1 as apps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.api.pods import conditions
from podkeeper.api.pods.phase import is_terminal
from podkeeper.api.selectors import labels
from podkeeper.api.selectors.labels import Selector
from podkeeper.controllers.batches import at_once, slow_start
from podkeeper.controllers.expectations import Expectations
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.controllers.ownership import carry_out, controller_of, controller_uid, decide_claim, reference_to
from podkeeper.controllers.pod_ranks import available_in, is_active, is_ready, removal_order

BURST = 500


class Failure(Struct, frozen=True):
    """What kept the set from its size; ``reason`` is FailedCreate or FailedDelete."""

    reason: str
    error: ApiError


class ReplicaSets:
    """Keys are replica sets, or what ``kind`` says: replication controllers do the same."""

    name = "replicaset-controller"
    workers = 5
    kind: ClassVar[type[Any]] = apps.ReplicaSet
    kind_name = "ReplicaSet"
    condition_type: ClassVar[type[Any]] = apps.ReplicaSetCondition

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._sets, self._pods = tools.informer(self.kind), tools.informer(v1.Pod)
        self._owner_index = f"{self.name} owner"
        self._pods.add_index(self._owner_index, lambda pod: [controller_uid(pod)])
        self._expectations = Expectations(tools.clock)

    def watches(self) -> Sequence[Watch[Any]]:
        """Replica sets, their pods, and orphans that one of them might take."""
        return (Watch(self._sets, own_key), Watch(self._pods, self._pod_changed))

    def _pod_changed(self, old: v1.Pod | None, new: v1.Pod | None) -> Iterable[Key]:
        keys: set[Key] = set()
        for pod in filter(None, (old, new)):
            owner = controller_of(pod)
            if owner is None:
                keys.update(self._takers(pod))
            elif owner.kind == self.kind_name:
                keys.add(Key(pod.metadata.namespace, owner.name))
        shown = new or old
        for key in keys if shown else ():
            if new is None or new.metadata.deletion_timestamp:
                self._expectations.went(key, shown.metadata.uid if shown else "")
            else:
                self._expectations.appeared(key, new.metadata.uid)
        return keys

    def _takers(self, pod: v1.Pod) -> Iterable[Key]:
        for each in self._sets.lister.list(pod.metadata.namespace):
            if self.selector(each).matches(pod.metadata.labels):
                yield Key(each.metadata.namespace, each.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        """Claims, counts, creates or deletes, and reports."""
        replica_set = self._sets.lister.get(key.namespace, key.name)
        if replica_set is None:
            self._expectations.forget(key)
            return None
        if (patience := self._expectations.seconds_left(key)) > 0:
            return patience
        pods = await self._claim(replica_set)
        active = [pod for pod in pods if is_active(pod)]
        failure: Failure | None = None
        if not replica_set.metadata.deletion_timestamp:
            failure = await self._scale(key, replica_set, active)
        terminating = sum(bool(pod.metadata.deletion_timestamp) and not is_terminal(pod) for pod in pods)
        soon = await self._report(replica_set, active, terminating, failure)
        if failure:
            raise failure.error
        return soon

    def selector(self, replica_set: Any) -> Selector:
        """What the set takes for its own."""
        return labels.from_label_selector(replica_set.spec.selector)

    def status(self, counts: dict[str, Any], failures: tuple[Any, ...], terminating: int) -> Any:
        """The status of the kind."""
        return apps.ReplicaSetStatus(**counts, conditions=failures, terminating_replicas=terminating)

    async def _claim(self, replica_set: Any) -> Sequence[v1.Pod]:
        namespace, lister = replica_set.metadata.namespace, self._pods.lister
        mine = lister.by_index(self._owner_index, replica_set.metadata.uid)
        orphans = [pod for pod in lister.by_index(self._owner_index, "") if pod.metadata.namespace == namespace]
        claim = decide_claim(replica_set, self.selector(replica_set), (*mine, *orphans))
        return await carry_out(self._tools, replica_set, v1.Pod, claim)

    async def _scale(self, key: Key, replica_set: Any, active: Sequence[v1.Pod]) -> Failure | None:
        """Returns why pods could not be made or removed."""
        wanted = replica_set.spec.replicas if replica_set.spec.replicas is not None else 1
        missing = wanted - len(active)
        try:
            if missing > 0:
                template = new_pod(replica_set)
                await slow_start(min(missing, BURST), partial(self._create, key, replica_set, template))
            elif missing < 0:
                order = removal_order(active, self._crowding(replica_set), self._tools.clock.time())
                await at_once(self._deletion(key, replica_set, pod) for pod in order[: min(-missing, BURST)])
        except ApiError as error:
            if is_for_end_of_namespace(error):
                return None
            return Failure("FailedCreate" if missing > 0 else "FailedDelete", error)
        return None

    async def _create(self, key: Key, replica_set: Any, template: v1.Pod) -> None:
        recorder = self._tools.recorder
        try:
            pod = await self._tools.api.of(v1.Pod).create(template, key.namespace)
        except ApiError as error:
            if not is_for_end_of_namespace(error):
                recorder.event(replica_set, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        if self._pods.lister.get(key.namespace, pod.metadata.name) is None:
            self._expectations.expect_created(key, pod.metadata.uid)
        recorder.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {pod.metadata.name}")

    def _deletion(self, key: Key, replica_set: Any, pod: v1.Pod) -> Callable[[], Awaitable[None]]:
        """Expected from now on: no other look may come between the deletions of one."""
        self._expectations.expect_deleted(key, pod.metadata.uid)
        return partial(self._delete, key, replica_set, pod)

    async def _delete(self, key: Key, replica_set: Any, pod: v1.Pod) -> None:
        recorder, name, uid = self._tools.recorder, pod.metadata.name, pod.metadata.uid
        try:
            await self._tools.api.of(v1.Pod).delete(name, key.namespace, uid=uid)
        except ApiError as error:
            self._expectations.went(key, uid)
            if error.code == 404:
                return
            recorder.event(replica_set, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        recorder.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    def _crowding(self, replica_set: Any) -> Counter[str]:
        """How many pods of the set and of its siblings, the other sets of its owner, each node has."""
        owner, sets = controller_uid(replica_set), self._sets.lister.list(replica_set.metadata.namespace)
        related = [each for each in sets if owner and controller_uid(each) == owner] or [replica_set]
        pods = (pod for each in related for pod in self._pods.lister.by_index(self._owner_index, each.metadata.uid))
        return Counter(pod.spec.node_name for pod in pods if is_active(pod))

    async def _report(
        self, replica_set: Any, active: Sequence[v1.Pod], terminating: int, failure: Failure | None
    ) -> float | None:
        """Writes the status if it has changed; returns when a pod that is ready will count as available."""
        now = self._tools.clock.time()
        ready = [pod for pod in active if is_ready(pod)]
        least = replica_set.spec.min_ready_seconds or 0
        waits = [available_in(pod, least, now) for pod in ready]
        template = replica_set.spec.template.metadata
        wanted_labels = template.labels if template else {}
        counts = {
            "replicas": len(active),
            "fully_labeled_replicas": sum(wanted_labels.items() <= pod.metadata.labels.items() for pod in active)
            or None,
            "ready_replicas": len(ready) or None,
            "available_replicas": sum(wait <= 0 for wait in waits) or None,
            "observed_generation": replica_set.metadata.generation,
        }
        status = self.status(counts, _conditions(replica_set, self.condition_type, failure, now), terminating)
        if status != replica_set.status:
            changed = msgspec.structs.replace(replica_set, status=status)
            await self._tools.api.of(self.kind).update(changed, subresource="status")
        return min((wait for wait in waits if wait > 0), default=None)


def new_pod(replica_set: Any) -> v1.Pod:
    """A pod of the template, owned by the set."""
    template = replica_set.spec.template
    base = template.metadata
    metadata = msgspec.structs.replace(
        base,
        name="",
        generate_name=f"{replica_set.metadata.name}-",
        namespace=replica_set.metadata.namespace,
        owner_references=(reference_to(replica_set),),
    )
    return codec.from_tree(v1.Pod, codec.to_tree(v1.Pod(metadata=metadata, spec=template.spec)))


def is_for_end_of_namespace(error: ApiError) -> bool:
    """Whether nothing can be created because the namespace is on its way out: no failure of the set."""
    return any(each.reason == "NamespaceTerminating" for each in error.causes)


def _conditions(replica_set: Any, condition_type: type[Any], failure: Failure | None, now: float) -> tuple[Any, ...]:
    kind = "ReplicaFailure"
    present = conditions.find(replica_set.status.conditions, kind)
    if failure is None:
        return conditions.without(replica_set.status.conditions, kind)
    if present is not None and (present.reason, present.message) == (failure.reason, failure.error.message):
        return tuple(replica_set.status.conditions)
    condition = {"type": kind, "status": "True", "reason": failure.reason, "message": failure.error.message}
    condition["last_transition_time"] = timestamps.format_time(now)
    return (*conditions.without(replica_set.status.conditions, kind), condition_type(**condition))
