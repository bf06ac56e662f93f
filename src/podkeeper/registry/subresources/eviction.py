"""pods/eviction: a delete that asks the pod's disruption budget first.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/ and upstream's messages.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError, Cause, bad_request, forbidden, internal
from podkeeper.api.meta import v1 as meta
from podkeeper.api.pods import conditions
from podkeeper.api.policy import v1 as policy
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.registry import deleting, reading
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.changing import Target, edit
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import DeleteOptions, RequestContext

Tree = dict[str, Any]

MOST_DISRUPTED = 2000
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def evict(pods: ServedKind, budgets: ServedKind, context: RequestContext, target: Target, eviction: Tree) -> None:
    """Raises ApiError: 400, 404, 409, 429 when the budget does not allow it, 500 when several budgets match."""
    own = (eviction.get("metadata") or {}).get("name") if isinstance(eviction, dict) else None
    if own != target.name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = delete_options(eviction.get("deleteOptions") or {})
    item = await reading.get(pods, target.namespace, target.name, None)
    await _admit(pods, context, target, eviction)
    pod: v1.Pod = item.typed(pods.decode)
    if needs_budget(pod):
        await _ask_budget(budgets, context, target, pod)
    if not pod.metadata.deletion_timestamp:
        now = timestamps.format_time(pods.backing.clock.time())
        await edit(pods, context, target, lambda current: marked(current, now))
    await deleting.delete(pods, context, target.namespace, target.name, options)


async def _admit(pods: ServedKind, context: RequestContext, target: Target, eviction: Tree) -> None:
    attributes = Attributes(
        operation=Operation.CREATE,
        resource=pods.resource,
        namespace=target.namespace,
        name=target.name,
        user=context.user,
        tree=eviction,
        subresource="eviction",
        dry_run=context.dry_run,
        warnings=context.warnings,
    )
    await pods.backing.admission.mutate(attributes)
    await pods.backing.admission.validate(attributes)


def delete_options(tree: Tree) -> DeleteOptions:
    """DeleteOptions from the body's own."""
    preconditions = tree.get("preconditions") or {}
    return DeleteOptions(
        grace_period=tree.get("gracePeriodSeconds"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=tree.get("propagationPolicy") or "",
    )


def needs_budget(pod: v1.Pod) -> bool:
    """Pods that do not run, or are on their way out, disrupt nothing."""
    phase = pod.status.phase if pod.status is not None else ""
    return phase not in ("Succeeded", "Failed", "Pending") and not pod.metadata.deletion_timestamp


def marked(pod: v1.Pod, now: str) -> v1.Pod:
    """The pod with the condition that tells why it goes."""
    condition = v1.PodCondition(
        type="DisruptionTarget",
        status=conditions.TRUE,
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
    )
    status = pod.status or v1.PodStatus()
    changed = conditions.with_condition(status.conditions, condition, now)
    return msgspec.structs.replace(pod, status=msgspec.structs.replace(status, conditions=changed))


async def _ask_budget(budgets: ServedKind, context: RequestContext, target: Target, pod: v1.Pod) -> None:
    matching = _budgets_of(budgets, pod)
    if len(matching) > 1:
        raise internal(_SEVERAL)
    if not matching or passes_as_unhealthy(matching[0].typed(budgets.decode), pod):
        return
    now = timestamps.format_time(budgets.backing.clock.time())
    of_budget = Target(target.namespace, matching[0].name)
    await edit(budgets, context, of_budget, lambda budget: charged(budget, target.name, now))


def _budgets_of(budgets: ServedKind, pod: v1.Pod) -> list[StoredItem]:
    found = []
    for item in budgets.cache.select(Selection(pod.metadata.namespace)):
        budget: policy.PodDisruptionBudget = item.typed(budgets.decode)
        selector = budget.spec.selector if budget.spec is not None else None
        if label_selectors.from_label_selector(selector).matches(pod.metadata.labels):
            found.append(item)
    return found


def passes_as_unhealthy(budget: policy.PodDisruptionBudget, pod: v1.Pod) -> bool:
    """Whether a pod that is not ready may go without being counted."""
    if conditions.is_true(pod.status.conditions if pod.status is not None else (), "Ready"):
        return False
    if budget.spec is not None and budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
        return True
    status = budget.status or policy.PodDisruptionBudgetStatus()
    desired = status.desired_healthy or 0
    return desired > 0 and (status.current_healthy or 0) >= desired


def charged(budget: policy.PodDisruptionBudget, pod_name: str, now: str) -> policy.PodDisruptionBudget:
    """The budget with one disruption less. Raises 429 or 403 when there is none to take."""
    name, status = budget.metadata.name, budget.status or policy.PodDisruptionBudgetStatus()
    allowed = status.disruptions_allowed or 0
    if (status.observed_generation or 0) < (budget.metadata.generation or 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    if allowed < 0:
        raise forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.disrupted_pods) > MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden("poddisruptionbudget", "policy", name, why)
    if not allowed:
        needs, has = status.desired_healthy or 0, status.current_healthy or 0
        raise _too_many(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently", 0)
    listed = status.conditions
    if allowed == 1:
        exhausted = meta.Condition(
            type="DisruptionAllowed",
            status=conditions.FALSE,
            reason="InsufficientPods",
            observed_generation=status.observed_generation,
        )
        listed = conditions.with_condition(listed, exhausted, now)
    left = msgspec.structs.replace(
        status,
        disruptions_allowed=allowed - 1,
        disrupted_pods={**status.disrupted_pods, pod_name: now},
        conditions=listed,
    )
    return msgspec.structs.replace(budget, status=left)


def _too_many(why: str, retry_after: int) -> ApiError:
    causes = (Cause("DisruptionBudget", why),)
    return ApiError(429, "TooManyRequests", _REFUSED, causes=causes, retry_after=retry_after)
