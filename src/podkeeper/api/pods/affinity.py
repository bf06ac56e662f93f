"""Affinity: which nodes a pod may or would rather run on, and which pods it means by a pod affinity term.

Node selector terms are alternatives, the requirements within one must all hold; a term without any selects no node.
Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from podkeeper.api.selectors import labels as selectors
from podkeeper.api.selectors.labels import Labels, Selector, as_integer

if TYPE_CHECKING:
    from podkeeper.api.core import v1


class NodeFacts(Struct, frozen=True):
    """What selection looks at in a node."""

    name: str
    labels: Labels

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields that matchFields may name."""
        return {"metadata.name": self.name}


def node_facts(node: v1.Node) -> NodeFacts:
    """The facts of a typed node."""
    return NodeFacts(node.metadata.name, node.metadata.labels)


def requires(spec: v1.PodSpec, node: NodeFacts) -> bool:
    """Whether the node meets the pod's nodeSelector and its required node affinity."""
    if any(node.labels.get(key) != value for key, value in spec.node_selector.items()):
        return False
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    return required is None or matches_selector(required, node)


def preference(spec: v1.PodSpec, node: NodeFacts) -> int:
    """The sum of the weights of the preferred terms that the node meets."""
    affinity = spec.affinity.node_affinity if spec.affinity else None
    if affinity is None:
        return 0
    terms = affinity.preferred_during_scheduling_ignored_during_execution
    return sum(term.weight for term in terms if term.weight and matches_term(term.preference, node))


def matches_selector(selector: v1.NodeSelector, node: NodeFacts) -> bool:
    """Whether one term at least selects the node."""
    return any(matches_term(term, node) for term in selector.node_selector_terms)


def matches_term(term: v1.NodeSelectorTerm, node: NodeFacts) -> bool:
    """Whether all requirements of the term hold; a term without any selects nothing."""
    if not term.match_expressions and not term.match_fields:
        return False
    by_label = all(_holds(each, node.labels) for each in term.match_expressions)
    return by_label and all(_holds(each, node.fields) for each in term.match_fields)


def _holds(requirement: v1.NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    value = values.get(requirement.key)
    operator = requirement.operator
    if operator == "In":
        return value is not None and value in requirement.values
    if operator == "NotIn":
        return value is None or value not in requirement.values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt"):
        return _compares(operator, value, requirement.values)
    return False


def _compares(operator: str, value: str | None, bounds: tuple[str, ...]) -> bool:
    number = as_integer(value) if value is not None else None
    bound = as_integer(bounds[0]) if len(bounds) == 1 else None
    if number is None or bound is None:
        return False
    return number > bound if operator == "Gt" else number < bound


class PodTerm(Struct, frozen=True):
    """A pod affinity term, ready to be asked: which pods, in which namespaces, per value of which node label."""

    pods: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector
    topology_key: str
    weight: int = 0

    def matches(self, namespace: str, pod_labels: Labels, namespace_labels: Labels) -> bool:
        """Whether a pod with these labels, in that namespace with those labels, is meant."""
        inside = namespace in self.namespaces or self.namespace_selector.matches(namespace_labels)
        return inside and self.pods.matches(pod_labels)


def pod_term(owner: v1.Pod, term: v1.PodAffinityTerm, weight: int = 0) -> PodTerm:
    """The term as the owner means it: without namespaces and namespace selector, its own namespace.

    Raises SelectorError for a selector that validation would have refused."""
    own = not term.namespaces and term.namespace_selector is None
    return PodTerm(
        pods=selectors.from_label_selector(term.label_selector),
        namespaces=frozenset((owner.metadata.namespace,) if own else term.namespaces),
        namespace_selector=selectors.from_label_selector(term.namespace_selector),
        topology_key=term.topology_key,
        weight=weight,
    )


def required_affinity(pod: v1.Pod) -> tuple[PodTerm, ...]:
    """The pod's required pod affinity terms."""
    affinity = pod.spec.affinity.pod_affinity if pod.spec and pod.spec.affinity else None
    terms = affinity.required_during_scheduling_ignored_during_execution if affinity else ()
    return tuple(pod_term(pod, term) for term in terms)


def required_anti_affinity(pod: v1.Pod) -> tuple[PodTerm, ...]:
    """The pod's required pod anti-affinity terms."""
    affinity = pod.spec.affinity.pod_anti_affinity if pod.spec and pod.spec.affinity else None
    terms = affinity.required_during_scheduling_ignored_during_execution if affinity else ()
    return tuple(pod_term(pod, term) for term in terms)


def preferred_terms(pod: v1.Pod) -> tuple[PodTerm, ...]:
    """The pod's preferred terms, those of anti-affinity with a negative weight."""
    affinity = pod.spec.affinity if pod.spec else None
    found: list[PodTerm] = []
    if affinity and affinity.pod_affinity:
        for term in affinity.pod_affinity.preferred_during_scheduling_ignored_during_execution:
            found.append(pod_term(pod, term.pod_affinity_term, term.weight))
    if affinity and affinity.pod_anti_affinity:
        for term in affinity.pod_anti_affinity.preferred_during_scheduling_ignored_during_execution:
            found.append(pod_term(pod, term.pod_affinity_term, -term.weight))
    return tuple(found)
