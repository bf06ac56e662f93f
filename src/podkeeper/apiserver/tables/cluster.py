"""How nodes, namespaces, events, configuration and quotas are printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.tables.column import (
    Columns,
    Tree,
    age,
    has_condition,
    joined,
    name_of,
    printed,
    since,
    spec_of,
    status_of,
)

_ROLE_PREFIX, _ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


def _node(tree: Tree, now: float) -> list[Any]:
    status = status_of(tree)
    info = status.get("nodeInfo") or {}
    details = [info.get(field) or "<unknown>" for field in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    return [
        name_of(tree),
        _node_state(tree),
        joined(_roles(tree["metadata"].get("labels") or {})),
        age(tree, now),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        *details,
    ]


def _node_state(tree: Tree) -> str:
    status = status_of(tree)
    known = any(each.get("type") == "Ready" for each in status.get("conditions") or ())
    state = "Unknown"
    if known:
        state = "Ready" if has_condition(status, "Ready") else "NotReady"
    return f"{state},SchedulingDisabled" if spec_of(tree).get("unschedulable") else state


def _roles(labels: Mapping[str, str]) -> list[str]:
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    return sorted((roles | {labels.get(_ROLE, "")}) - {""})


def _address(status: Tree, kind: str) -> str:
    found = [each.get("address", "") for each in status.get("addresses") or () if each.get("type") == kind]
    return found[0] if found else "<none>"


def _namespace(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), status_of(tree).get("phase", ""), age(tree, now)]


def _event(tree: Tree, now: float) -> list[Any]:
    first = since(tree.get("firstTimestamp") or tree.get("deprecatedFirstTimestamp") or tree.get("eventTime"), now)
    last_stamp = tree.get("lastTimestamp") or tree.get("deprecatedLastTimestamp")
    last = since(last_stamp, now) if last_stamp else first
    count = int(tree.get("count") or tree.get("deprecatedCount") or 1)
    series = tree.get("series")
    if series:
        last, count = since(series.get("lastObservedTime"), now), int(series.get("count") or 0)
    about = tree.get("involvedObject") or tree.get("regarding") or {}
    kind = about.get("kind", "").lower()
    return [
        last,
        tree.get("type", ""),
        tree.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        _event_source(tree),
        (tree.get("message") or tree.get("note") or "").strip(),
        first,
        count,
        name_of(tree),
    ]


def _event_source(tree: Tree) -> str:
    source = tree.get("source") or tree.get("deprecatedSource") or {}
    component = source.get("component") or tree.get("reportingComponent") or tree.get("reportingController") or ""
    host = source.get("host") or tree.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _config_map(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), len(tree.get("data") or ()) + len(tree.get("binaryData") or ()), age(tree, now)]


def _secret(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), tree.get("type", ""), len(tree.get("data") or ()), age(tree, now)]


def _service_account(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), len(tree.get("secrets") or ()), age(tree, now)]


def _lease(tree: Tree, now: float) -> list[Any]:
    return [name_of(tree), spec_of(tree).get("holderIdentity") or "", age(tree, now)]


def _quota(tree: Tree, now: float) -> list[Any]:
    status = status_of(tree)
    requests: list[str] = []
    limits: list[str] = []
    for resource, hard in sorted((status.get("hard") or {}).items()):
        used = (status.get("used") or {}).get(resource, "0")
        (limits if resource.startswith("limits.") else requests).append(f"{resource}: {used}/{hard}")
    return [name_of(tree), ", ".join(requests), ", ".join(limits), age(tree, now)]


def _component_status(tree: Tree, now: float) -> list[Any]:
    status, message, error = "Unknown", "", ""
    for condition in tree.get("conditions") or ():
        if condition.get("type") == "Healthy":
            status = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            message, error = condition.get("message", ""), condition.get("error", "")
    return [name_of(tree), status, message, error]


_EVENT = "Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*"

COLUMNS: Mapping[tuple[str, str], Columns] = {
    ("", "nodes"): printed(
        "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*", _node
    ),
    ("", "namespaces"): printed("Name|Status|Age", _namespace),
    ("", "events"): printed(_EVENT, _event),
    ("events.k8s.io", "events"): printed(_EVENT, _event),
    ("", "configmaps"): printed("Name|Data|Age", _config_map),
    ("", "secrets"): printed("Name|Type|Data|Age", _secret),
    ("", "serviceaccounts"): printed("Name|Secrets|Age", _service_account),
    ("", "resourcequotas"): printed("Name|Request|Limit|Age", _quota),
    ("", "componentstatuses"): printed("Name|Status|Message|Error", _component_status),
    ("coordination.k8s.io", "leases"): printed("Name|Holder|Age", _lease),
}
