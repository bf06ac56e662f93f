"""What pods may ask of a scheduler and this one cannot judge yet: refused by name, never placed as if unasked."""

from __future__ import annotations

from collections.abc import Iterator

from podkeeper.scheduler.pod_facts import PodFacts

#: Stands for a refusal in the queue: no event in the cluster makes it fit.
PLUGIN = "Refusals"


def refusal(facts: PodFacts) -> str:
    """Why the pod cannot be placed at all; empty when all its demands can be judged. Preferences are no demands."""
    asked = ", ".join(_asked(facts))
    return f"pod asks for what this scheduler does not support: {asked}" if asked else ""


def _asked(facts: PodFacts) -> Iterator[str]:
    affinity = facts.spec.affinity
    if affinity and affinity.pod_affinity and affinity.pod_affinity.required_during_scheduling_ignored_during_execution:
        yield "required pod affinity"
    apart = affinity.pod_anti_affinity if affinity else None
    if apart and apart.required_during_scheduling_ignored_during_execution:
        yield "required pod anti-affinity"
    if any(each.when_unsatisfiable == "DoNotSchedule" for each in facts.spec.topology_spread_constraints):
        yield "topology spread constraints with DoNotSchedule"
    if any(each.persistent_volume_claim or each.ephemeral for each in facts.spec.volumes):
        yield "persistent volume claims"
    if facts.spec.resource_claims:
        yield "resource claims"
