"""matchLabelKeys and mismatchLabelKeys: a new pod's own label values become part of the selectors that name the keys.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#matchlabelkeys and KEP-3633, KEP-3243.
"""

from __future__ import annotations

from typing import Any

Tree = dict[str, Any]


def merge(pod: Tree) -> None:
    """Extends the label selectors of affinity terms and spread constraints in place."""
    spec, labels = pod["spec"], pod["metadata"].get("labels") or {}
    for term in _affinity_terms(spec.get("affinity") or {}):
        _extend(term, term.get("matchLabelKeys"), "In", labels)
        _extend(term, term.get("mismatchLabelKeys"), "NotIn", labels)
    for constraint in spec.get("topologySpreadConstraints") or ():
        _extend(constraint, constraint.get("matchLabelKeys"), "In", labels)


def _affinity_terms(affinity: Tree) -> list[Tree]:
    terms = []
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [each.get("podAffinityTerm") or {} for each in preferred]
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return terms


def _extend(holder: Tree, keys: list[str] | None, operator: str, labels: dict[str, str]) -> None:
    """A selector that is absent matches nothing and stays so."""
    selector = holder.get("labelSelector")
    if not keys or selector is None:
        return
    added = [{"key": key, "operator": operator, "values": [labels[key]]} for key in keys if key in labels]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]
