"""Label selectors and node selectors.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.metadata import label_map

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.meta.v1 import LabelSelector

_NEED_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_TAKE_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_UNKNOWN = "not a valid selector operator"


def label_selector(found: Found, at: str, selector: LabelSelector | None) -> None:
    """Keys, operators and values of a label selector; absent is good."""
    if selector is None:
        return
    label_map(found, f"{at}.matchLabels", selector.match_labels)
    for path, term in indexed(f"{at}.matchExpressions", selector.match_expressions):
        _operator(found, path, term)
        found.check(f"{path}.key", term.key, names.label_key)
        for inner, value in indexed(f"{path}.values", term.values):
            found.check(inner, value, names.label_value)


def node_selector(found: Found, at: str, selector: v1.NodeSelector) -> None:
    """Terms of which one must hold: at least one."""
    if not selector.node_selector_terms:
        found.required(f"{at}.nodeSelectorTerms", "must have at least one node selector term")
    for path, term in indexed(f"{at}.nodeSelectorTerms", selector.node_selector_terms):
        node_selector_term(found, path, term)


def node_selector_term(found: Found, at: str, term: v1.NodeSelectorTerm, *, strict: bool = True) -> None:
    """Requirements on a node's labels and on its name; a mere preference may name values that no label can have."""
    for path, each in indexed(f"{at}.matchExpressions", term.match_expressions):
        if each.operator in ("Gt", "Lt"):
            if len(each.values) != 1:
                found.required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        else:
            _operator(found, path, each)
        found.check(f"{path}.key", each.key, names.label_key)
        for inner, value in indexed(f"{path}.values", each.values if strict else ()):
            found.check(inner, value, names.label_value)
    for path, each in indexed(f"{at}.matchFields", term.match_fields):
        if each.operator not in ("In", "NotIn"):
            found.invalid(f"{path}.operator", each.operator, _UNKNOWN)
        elif len(each.values) != 1:
            found.required(
                f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            )
        if each.key != "metadata.name":
            found.invalid(f"{path}.key", each.key, "not a valid field selector key")
            continue
        for inner, value in indexed(f"{path}.values", each.values):
            found.check(inner, value, names.dns_subdomain)


def _operator(found: Found, at: str, term: Any) -> None:
    if term.operator in ("In", "NotIn"):
        if not term.values:
            found.required(f"{at}.values", _NEED_VALUES)
    elif term.operator in ("Exists", "DoesNotExist"):
        if term.values:
            found.forbidden(f"{at}.values", _TAKE_NO_VALUES)
    else:
        found.invalid(f"{at}.operator", term.operator, _UNKNOWN)
