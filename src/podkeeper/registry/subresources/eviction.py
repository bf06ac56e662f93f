"""pods/eviction: a delete that asks the pod's disruption budget first.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/ and upstream's messages.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError, Cause, bad_request, forbidden, internal
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.registry import deleting, reading
from podkeeper.registry.cache.selection import Selection
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.subresources.binding import set_condition
from podkeeper.registry.updating import Target, change
from podkeeper.registry.verbs import DeleteOptions, RequestContext

Tree = dict[str, Any]

MOST_DISRUPTED = 2000
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def evict(
    pods: ServedKind, budgets: ServedKind, context: RequestContext, namespace: str, name: str, eviction: Tree
) -> None:
    """Raises ApiError: 400, 404, 409, 429 when the budget does not allow it, 500 when several budgets match."""
    own = (eviction.get("metadata") or {}).get("name") if isinstance(eviction, dict) else None
    if own != name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = delete_options(eviction.get("deleteOptions") or {})
    pod = (await reading.get(pods, namespace, name, None)).tree()
    if needs_budget(pod):
        await _ask_budget(budgets, context, namespace, name, pod)
    if not context.dry_run and not pod["metadata"].get("deletionTimestamp"):
        await _note_disruption(pods, context, namespace, name)
    await deleting.delete(pods, context, namespace, name, options)


def delete_options(tree: Tree) -> DeleteOptions:
    """DeleteOptions from the body's own."""
    preconditions = tree.get("preconditions") or {}
    return DeleteOptions(
        grace_period=tree.get("gracePeriodSeconds"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=tree.get("propagationPolicy") or "",
    )


def needs_budget(pod: Tree) -> bool:
    """Pods that do not run, or are on their way out, disrupt nothing."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed", "Pending") and not pod["metadata"].get("deletionTimestamp")


async def _ask_budget(budgets: ServedKind, context: RequestContext, namespace: str, name: str, pod: Tree) -> None:
    matching = _budgets_of(budgets, namespace, pod)
    if len(matching) > 1:
        raise internal(_SEVERAL)
    if not matching or _passes_as_unhealthy(matching[0].tree(), pod):
        return
    now = timestamps.format_time(budgets.backing.clock.time())
    target = Target(namespace, matching[0].name, "status")
    await change(budgets, context, target, lambda current: charge(current.fresh_tree(), name, now))


def _budgets_of(budgets: ServedKind, namespace: str, pod: Tree) -> list[StoredItem]:
    labels = pod["metadata"].get("labels") or {}
    found = []
    for item in budgets.cache.select(Selection(namespace)):
        selector = (item.tree().get("spec") or {}).get("selector")
        if selector is not None and label_selectors.from_tree(selector).matches(labels):
            found.append(item)
    return found


def _passes_as_unhealthy(budget: Tree, pod: Tree) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    if any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(desired > 0 and status.get("currentHealthy", 0) >= desired)


def charge(budget: Tree, pod_name: str, now: str) -> Tree:
    """Takes one disruption from a budget. Raises 429 or 403 when there is none to take."""
    metadata, status = budget["metadata"], budget.setdefault("status", {})
    allowed = status.get("disruptionsAllowed", 0)
    disrupted = status.setdefault("disruptedPods", {})
    name = metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    if allowed < 0:
        raise forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(disrupted) > MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden("poddisruptionbudget", "policy", name, why)
    if not allowed:
        needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _too_many(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently", 0)
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        refusing = {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods"}
        set_condition(
            budget, refusing | {"observedGeneration": status.get("observedGeneration", 0), "message": ""}, now
        )
    disrupted[pod_name] = now
    return budget


def _too_many(why: str, retry_after: int) -> ApiError:
    return ApiError(429, "TooManyRequests", _REFUSED, causes=(Cause("DisruptionBudget", why),), retry_after=retry_after)


async def _note_disruption(pods: ServedKind, context: RequestContext, namespace: str, name: str) -> None:
    now = timestamps.format_time(pods.backing.clock.time())
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }

    def noted(current: StoredItem) -> Tree:
        tree = current.fresh_tree()
        set_condition(tree, condition, now)
        return tree

    await change(pods, context, Target(namespace, name, "status"), noted)
