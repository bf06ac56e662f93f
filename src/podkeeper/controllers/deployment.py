"""Deployment: a replica set per template; the present one grows to what is wanted as the others shrink.

template new --> new replica set --> rollout in steps (rollout.plan_sizes) --> old ones empty --> history trimmed
count new, or paused --> every set in use gets its share (scaling.plan_scaling)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from podkeeper.api.apps import v1 as apps
from podkeeper.api.errors import ApiError
from podkeeper.api.meta import v1 as meta
from podkeeper.api.selectors import labels
from podkeeper.controllers import rollout, scaling
from podkeeper.controllers.deployment_status import deployment_status, seconds_to_deadline
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.controllers.ownership import carry_out, controller_of, controller_uid, decide_claim, reference_to

DEFAULT_HISTORY = 10
#: Annotations that belong to one object alone and are not handed down. Source: upstream's deployment utilities.
NOT_INHERITED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    rollout.REVISION,
    scaling.DESIRED,
    scaling.MAXIMUM,
    "deprecated.deployment.rollback.to",
}


class Deployments:
    """Keys are deployments."""

    name = "deployment-controller"
    workers = 5

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._deployments, self._sets = tools.informer(apps.Deployment), tools.informer(apps.ReplicaSet)
        self._sets.add_index("controller", lambda each: [controller_uid(each)])

    def watches(self) -> Sequence[Watch[Any]]:
        """Deployments and their replica sets."""
        return (Watch(self._deployments, own_key), Watch(self._sets, self._set_changed))

    def _set_changed(self, old: apps.ReplicaSet | None, new: apps.ReplicaSet | None) -> Iterable[Key]:
        for each in filter(None, (old, new)):
            owner = controller_of(each)
            if owner is not None and owner.kind == "Deployment":
                yield Key(each.metadata.namespace, owner.name)
            elif owner is None:
                for taker in self._deployments.lister.list(each.metadata.namespace):
                    if labels.from_label_selector(taker.spec.selector).matches(each.metadata.labels):
                        yield Key(taker.metadata.namespace, taker.metadata.name)

    async def reconcile(self, key: Key) -> float | None:
        """One step of the rollout; the replica sets' changes bring the next, or the end of patience."""
        deployment = self._deployments.lister.get(key.namespace, key.name)
        if deployment is None:
            return None
        sets = await self._claim(deployment)
        new = next((each for each in _by_age(sets) if rollout.same_template(deployment, each)), None)
        if deployment.metadata.deletion_timestamp:
            return await self._report(deployment, new, sets)
        if deployment.spec.paused or scaling.is_scaling(deployment, sets):
            old = [each for each in sets if each is not new]
            await self._resize(deployment, scaling.plan_scaling(deployment, new, old), sets)
        else:
            new = new or await self._create(deployment, sets)
            old = [each for each in sets if each.metadata.uid != new.metadata.uid]
            new = await self._keep_in_step(deployment, new, old)
            await self._resize(deployment, rollout.plan_sizes(deployment, new, old), (new, *old))
            await self._trim_history(deployment, old)
            sets = (*old, new)
        return await self._report(deployment, new, sets)

    async def _claim(self, deployment: apps.Deployment) -> tuple[apps.ReplicaSet, ...]:
        lister, namespace = self._sets.lister, deployment.metadata.namespace
        mine = lister.by_index("controller", deployment.metadata.uid)
        orphans = [each for each in lister.by_index("controller", "") if each.metadata.namespace == namespace]
        claim = decide_claim(deployment, labels.from_label_selector(deployment.spec.selector), (*mine, *orphans))
        return await carry_out(self._tools, deployment, apps.ReplicaSet, claim)

    async def _create(self, deployment: apps.Deployment, sets: Sequence[apps.ReplicaSet]) -> apps.ReplicaSet:
        """Makes the set of the present template. A name that another template has taken counts as a collision."""
        made = self._new_set(deployment, sets)
        client = self._tools.api.of(apps.ReplicaSet)
        try:
            created = await client.create(made)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            present = await client.get(made.metadata.name, made.metadata.namespace)
            if controller_uid(present) == deployment.metadata.uid and rollout.same_template(deployment, present):
                return present
            collisions = (deployment.status.collision_count or 0) + 1
            patch = {"status": {"collisionCount": collisions}}
            metadata = deployment.metadata
            await self._tools.api.of(apps.Deployment).patch(
                metadata.name, patch, metadata.namespace, subresource="status"
            )
            raise
        count = rollout.size(created)
        if count:
            self._tell_scaled(deployment, created, 0, count)
        return created

    def _new_set(self, deployment: apps.Deployment, sets: Sequence[apps.ReplicaSet]) -> apps.ReplicaSet:
        spec, metadata = deployment.spec, deployment.metadata
        suffix = rollout.template_hash(spec.template, deployment.status.collision_count or 0)
        marked = {**spec.template.metadata.labels, rollout.HASH_LABEL: suffix}
        template = msgspec.structs.replace(
            spec.template, metadata=msgspec.structs.replace(spec.template.metadata, labels=marked)
        )
        chosen = spec.selector or meta.LabelSelector()
        selector = msgspec.structs.replace(chosen, match_labels={**chosen.match_labels, rollout.HASH_LABEL: suffix})
        total, limit = rollout.wanted(deployment), rollout.bounds(deployment)
        if spec.strategy.type == "Recreate":
            idle = not any(each.status.replicas or rollout.size(each) for each in sets)
            count = total if idle else 0
        else:
            count = max(0, min(total, total + limit.surge - sum(map(rollout.size, sets))))
        return apps.ReplicaSet(
            metadata=meta.ObjectMeta(
                name=f"{metadata.name}-{suffix}",
                namespace=metadata.namespace,
                labels=marked,
                annotations=self._annotations(deployment, None, sets) | scaling.notes(deployment),
                owner_references=(reference_to(deployment),),
            ),
            spec=apps.ReplicaSetSpec(
                replicas=count, selector=selector, template=template, min_ready_seconds=spec.min_ready_seconds
            ),
        )

    def _annotations(
        self, deployment: apps.Deployment, present: apps.ReplicaSet | None, old: Sequence[apps.ReplicaSet]
    ) -> dict[str, str]:
        inherited = {key: text for key, text in deployment.metadata.annotations.items() if key not in NOT_INHERITED}
        highest = max(map(_revision, old), default=0)
        revision = max(_revision(present), highest + 1) if present is not None else highest + 1
        return {**(present.metadata.annotations if present else {}), **inherited, rollout.REVISION: str(revision)}

    async def _keep_in_step(
        self, deployment: apps.Deployment, new: apps.ReplicaSet, old: Sequence[apps.ReplicaSet]
    ) -> apps.ReplicaSet:
        """Keeps the revision on the new set and the deployment; a set that is used again gets the next one."""
        annotations, least = self._annotations(deployment, new, old), deployment.spec.min_ready_seconds
        if (annotations, least) != (new.metadata.annotations, new.spec.min_ready_seconds):
            metadata_patch = {"uid": new.metadata.uid, "annotations": annotations}
            patch: dict[str, Any] = {"metadata": metadata_patch, "spec": {"minReadySeconds": least}}
            new = await self._tools.api.of(apps.ReplicaSet).patch(new.metadata.name, patch, new.metadata.namespace)
        revision = annotations[rollout.REVISION]
        metadata = deployment.metadata
        if metadata.annotations.get(rollout.REVISION) != revision:
            patch = {"metadata": {"uid": metadata.uid, "annotations": {rollout.REVISION: revision}}}
            await self._tools.api.of(apps.Deployment).patch(metadata.name, patch, metadata.namespace)
        return new

    async def _resize(
        self, deployment: apps.Deployment, sizes: Mapping[str, int], sets: Sequence[apps.ReplicaSet]
    ) -> None:
        client = self._tools.api.of(apps.ReplicaSet)
        for each in sets:
            count, noted = sizes.get(each.metadata.name), scaling.notes(deployment)
            if count is None or (count == rollout.size(each) and noted.items() <= each.metadata.annotations.items()):
                continue
            metadata = {"resourceVersion": each.metadata.resource_version, "annotations": noted}
            patch = {"metadata": metadata, "spec": {"replicas": count}}
            await client.patch(each.metadata.name, patch, each.metadata.namespace)
            if count != rollout.size(each):
                self._tell_scaled(deployment, each, rollout.size(each), count)

    def _tell_scaled(self, deployment: apps.Deployment, changed: apps.ReplicaSet, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {changed.metadata.name} from {before} to {after}"
        self._tools.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _trim_history(self, deployment: apps.Deployment, old: Sequence[apps.ReplicaSet]) -> None:
        limit = deployment.spec.revision_history_limit
        kept = DEFAULT_HISTORY if limit is None else limit
        idle = [each for each in old if not (rollout.size(each) or each.status.replicas)]
        idle = [each for each in idle if each.status.observed_generation == each.metadata.generation]
        for each in sorted(idle, key=_revision)[: max(0, len(idle) - kept)]:
            metadata = each.metadata
            if not metadata.deletion_timestamp:
                await self._tools.api.of(apps.ReplicaSet).delete(metadata.name, metadata.namespace, uid=metadata.uid)

    async def _report(
        self, deployment: apps.Deployment, new: apps.ReplicaSet | None, sets: Sequence[apps.ReplicaSet]
    ) -> float | None:
        """Writes the status if it has changed; returns when the rollout's time will be up."""
        now = self._tools.clock.time()
        status = deployment_status(deployment, new, sets, now)
        if status != deployment.status:
            changed = msgspec.structs.replace(deployment, status=status)
            await self._tools.api.of(apps.Deployment).update(changed, subresource="status")
        return seconds_to_deadline(deployment.spec, status, now)


def _revision(replica_set: apps.ReplicaSet) -> int:
    try:
        return int(replica_set.metadata.annotations.get(rollout.REVISION, "0"))
    except ValueError:
        return 0


def _by_age(sets: Iterable[apps.ReplicaSet]) -> list[apps.ReplicaSet]:
    return sorted(sets, key=lambda each: each.metadata.creation_timestamp)
