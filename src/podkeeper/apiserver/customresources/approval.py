"""The condition that says whether a definition in a group of the project itself was approved.

Source: apiextensions-apiserver, pkg/controller/apiapproval.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api.validation.extensions import approval_state, is_protected

Tree = dict[str, Any]

CONDITION = "KubernetesAPIApprovalPolicyConformant"
_REASONS = {
    "Approved": "ApprovedAnnotation",
    "Bypassed": "UnapprovedAnnotation",
    "Invalid": "InvalidAnnotation",
    "Missing": "MissingAnnotation",
}


def with_condition(status: Tree, definition: Tree, now: str) -> Tree:
    """A status with the condition, where the definition's group is one of the project's."""
    if not is_protected(definition["spec"]["group"]):
        return status
    state, message = approval_state(definition["metadata"].get("annotations") or {})
    said = {
        "type": CONDITION,
        "status": "True" if state == "Approved" else "False",
        "lastTransitionTime": now,
        "reason": _REASONS[state],
        "message": message,
    }
    conditions = list(status.get("conditions") or ())
    place = next((index for index, each in enumerate(conditions) if each["type"] == CONDITION), len(conditions))
    if place < len(conditions) and conditions[place]["status"] == said["status"]:
        said["lastTransitionTime"] = conditions[place]["lastTransitionTime"]
    conditions[place : place + 1] = [said]
    return status | {"conditions": conditions}
