"""How roles, admission, flow control, scheduling classes, certificates and devices are printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.tables.column import (
    Columns,
    Tree,
    age,
    being_deleted,
    duration,
    name_of,
    printed,
    selector_text,
    spec_of,
    status_of,
)


def _role(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), tree["metadata"].get("creationTimestamp")]


def _binding(tree: Tree, now: float) -> list[Any]:
    role, subjects = tree.get("roleRef") or {}, tree.get("subjects") or ()
    users = [each["name"] for each in subjects if each.get("kind") == "User"]
    groups = [each["name"] for each in subjects if each.get("kind") == "Group"]
    accounts = [
        f"{each.get('namespace', '')}/{each['name']}" for each in subjects if each.get("kind") == "ServiceAccount"
    ]
    listed = [", ".join(names) for names in (users, groups, accounts)]
    return [name_of(tree), f"{role.get('kind', '')}/{role.get('name', '')}", age(tree, now), *listed]


def _signing_request(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    seconds = spec.get("expirationSeconds")
    return [
        name_of(tree),
        age(tree, now),
        spec.get("signerName") or "<none>",
        spec.get("username", ""),
        "<none>" if seconds is None else duration(seconds),
        _signing_state(status_of(tree)),
    ]


def _signing_state(status: Tree) -> str:
    kinds = {each.get("type") for each in status.get("conditions") or ()}
    text = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    return text + (",Failed" if "Failed" in kinds else "") + (",Issued" if status.get("certificate") else "")


def _webhooks(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), len(tree.get("webhooks") or ()), age(tree, now)]


def _validating_policy(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), len(spec_of(tree).get("validations") or ()), _parameter_kind(tree), age(tree, now)]


def _mutating_policy(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), len(spec_of(tree).get("mutations") or ()), _parameter_kind(tree), age(tree, now)]


def _parameter_kind(tree: Tree) -> str:
    kind = spec_of(tree).get("paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else "<unset>"


def _policy_binding(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    reference, text = spec.get("paramRef") or {}, "<unset>"
    if reference.get("name"):
        text = f"{reference.get('namespace') or '*'}/{reference['name']}"
    elif reference.get("selector") is not None:
        text = selector_text(reference["selector"])
    return [name_of(tree), spec.get("policyName", ""), text, age(tree, now)]


def _flow_schema(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    dangling = [each.get("status") for each in status_of(tree).get("conditions") or () if each["type"] == "Dangling"]
    return [
        name_of(tree),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type", "<none>"),
        age(tree, now),
        dangling[0] if dangling else "?",
    ]


def _priority_level(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    limited = spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    numbers = [queuing.get(field, "<none>") for field in ("queues", "handSize", "queueLengthLimit")]
    shares = limited.get("nominalConcurrencyShares", "<none>")
    return [name_of(tree), spec.get("type", ""), shares, *numbers, age(tree, now)]


def _priority_class(tree: Tree, now: float) -> list[Any]:
    default = bool(tree.get("globalDefault"))
    return [name_of(tree), tree.get("value", 0), default, age(tree, now), tree.get("preemptionPolicy", "")]


def _runtime_class(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), tree.get("handler", ""), age(tree, now)]


def _named(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), age(tree, now)]


def _resource_claim(tree: Tree, now: float) -> list[Any]:
    status, deleted = status_of(tree), being_deleted(tree)
    states = ["deleted"] if deleted else []
    if status.get("allocation") is not None:
        states += ["allocated", "reserved"] if status.get("reservedFor") else ["allocated"]
    elif not deleted:
        states.append("pending")
    return [name_of(tree), ",".join(states), age(tree, now)]


def _resource_slice(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    pool = (spec.get("pool") or {}).get("name", "")
    return [name_of(tree), spec.get("nodeName") or "", spec.get("driver", ""), pool, age(tree, now)]


def _definition(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), tree["metadata"].get("creationTimestamp")]


def _api_service(tree: Tree, now: float) -> list[Any]:
    service = spec_of(tree).get("service")
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    available = "Unknown"
    for condition in status_of(tree).get("conditions") or ():
        if condition.get("type") == "Available":
            available = condition.get("status", "")
            if available != "True":
                available = f"{available} ({condition.get('reason', '')})"
    return [name_of(tree), where, available, age(tree, now)]


_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
_BINDING = "Name|Role|Age|Users*|Groups*|ServiceAccounts*"

COLUMNS: Mapping[tuple[str, str], Columns] = {
    (_RBAC, "roles"): printed("Name|Created At:date", _role),
    (_RBAC, "clusterroles"): printed("Name|Created At:date", _role),
    (_RBAC, "rolebindings"): printed(_BINDING, _binding),
    (_RBAC, "clusterrolebindings"): printed(_BINDING, _binding),
    ("certificates.k8s.io", "certificatesigningrequests"): printed(
        "Name|Age|SignerName|Requestor|RequestedDuration|Condition", _signing_request
    ),
    (_ADMISSION, "mutatingwebhookconfigurations"): printed("Name|Webhooks:integer|Age", _webhooks),
    (_ADMISSION, "validatingwebhookconfigurations"): printed("Name|Webhooks:integer|Age", _webhooks),
    (_ADMISSION, "validatingadmissionpolicies"): printed("Name|Validations:integer|ParamKind|Age", _validating_policy),
    (_ADMISSION, "mutatingadmissionpolicies"): printed("Name|Mutations:integer|ParamKind|Age", _mutating_policy),
    (_ADMISSION, "validatingadmissionpolicybindings"): printed("Name|PolicyName|ParamRef|Age", _policy_binding),
    (_ADMISSION, "mutatingadmissionpolicybindings"): printed("Name|PolicyName|ParamRef|Age", _policy_binding),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): printed(
        "Name|PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL", _flow_schema
    ),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): printed(
        "Name|Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age", _priority_level
    ),
    ("scheduling.k8s.io", "priorityclasses"): printed(
        "Name|Value:integer|Global-Default:boolean|Age|PreemptionPolicy", _priority_class
    ),
    ("node.k8s.io", "runtimeclasses"): printed("Name|Handler|Age", _runtime_class),
    ("resource.k8s.io", "deviceclasses"): printed("Name|Age", _named),
    ("resource.k8s.io", "resourceclaims"): printed("Name|State|Age", _resource_claim),
    ("resource.k8s.io", "resourceclaimtemplates"): printed("Name|Age", _named),
    ("resource.k8s.io", "resourceslices"): printed("Name|Node|Driver|Pool|Age", _resource_slice),
    ("apiextensions.k8s.io", "customresourcedefinitions"): printed("Name|Created At:date", _definition),
    ("apiregistration.k8s.io", "apiservices"): printed("Name|Service|Available|Age", _api_service),
}
