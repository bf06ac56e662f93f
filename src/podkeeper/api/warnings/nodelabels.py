"""Labels of nodes that have other names by now, where something selects by them.

Source: https://kubernetes.io/docs/reference/labels-annotations-taints/ and upstream's pkg/api/node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from podkeeper.api import names

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.meta.v1 import LabelSelector

DEPRECATED: Mapping[str, str] = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def of_map(at: str, labels: Mapping[str, str]) -> Iterator[str]:
    """About a map of labels to select by: ``at[LABEL]``."""
    for key in labels:
        if key in DEPRECATED:
            yield f"{at}[{key}]: {DEPRECATED[key]}"


def of_key(at: str, key: str) -> Iterator[str]:
    """About one label that is named at ``at``."""
    if key in DEPRECATED:
        yield f"{at}: {key} is {DEPRECATED[key]}"


def of_term(at: str, term: v1.NodeSelectorTerm, judge_values: bool = False) -> Iterator[str]:
    """About a term of node affinity. ``judge_values``: values that no label can have are no mistake there."""
    for index, expression in enumerate(term.match_expressions):
        yield from of_key(f"{at}.matchExpressions[{index}].key", expression.key)
        for number, value in enumerate(expression.values if judge_values else ()):
            for message in names.label_value(value):
                yield f"{at}.matchExpressions[{index}].values[{number}]: {value} is invalid, {message}"


def of_selector(at: str, selector: LabelSelector | None) -> Iterator[str]:
    """About a selector of nodes."""
    if selector is None:
        return
    for index, expression in enumerate(selector.match_expressions):
        yield from of_key(f"{at}.matchExpressions[{index}].key", expression.key)
    for key in selector.match_labels:
        if key in DEPRECATED:
            yield f"{at}.matchLabels.{key}: {DEPRECATED[key]}"
