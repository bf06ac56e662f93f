"""How workloads are printed: what runs pods, scales them and guards them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podkeeper.apiserver.tables.column import (
    Columns,
    Tree,
    age,
    being_deleted,
    container_cells,
    counted,
    duration,
    has_condition,
    labels_text,
    name_of,
    printed,
    seconds_of,
    selector_text,
    since,
    spec_of,
    status_of,
    template_spec,
)


def _replicas(tree: Tree) -> int:
    return int(spec_of(tree).get("replicas") or 0)


def _replica_set(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    numbers = [_replicas(tree), counted(tree, "replicas"), counted(tree, "readyReplicas")]
    selector = selector_text(spec.get("selector"))
    return [name_of(tree), *numbers, age(tree, now), *container_cells(template_spec(spec)), selector]


def _replication_controller(tree: Tree, now: float) -> list[Any]:
    return [*_replica_set(tree, now)[:-1], labels_text(spec_of(tree).get("selector"))]


def _deployment(tree: Tree, now: float) -> list[Any]:
    spec, ready = spec_of(tree), counted(tree, "readyReplicas")
    numbers = [f"{ready}/{_replicas(tree)}", counted(tree, "updatedReplicas"), counted(tree, "availableReplicas")]
    selector = selector_text(spec.get("selector"))
    return [name_of(tree), *numbers, age(tree, now), *container_cells(template_spec(spec)), selector]


def _stateful_set(tree: Tree, now: float) -> list[Any]:
    ready = f"{counted(tree, 'readyReplicas')}/{_replicas(tree)}"
    return [name_of(tree), ready, age(tree, now), *container_cells(template_spec(spec_of(tree)))]


def _daemon_set(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    numbers = [counted(tree, field) for field in (*fields, "numberAvailable")]
    pod_spec = template_spec(spec)
    nodes = labels_text(pod_spec.get("nodeSelector"))
    selector = selector_text(spec.get("selector"))
    return [name_of(tree), *numbers, nodes, age(tree, now), *container_cells(pod_spec), selector]


def _job(tree: Tree, now: float) -> list[Any]:
    spec, status = spec_of(tree), status_of(tree)
    started, ended = seconds_of(status.get("startTime")), seconds_of(status.get("completionTime"))
    lasted = "" if started is None else duration((now if ended is None else ended) - started)
    return [
        name_of(tree),
        _job_state(tree),
        _completions(spec, counted(tree, "succeeded")),
        lasted,
        age(tree, now),
        *container_cells(template_spec(spec)),
        selector_text(spec.get("selector")),
    ]


def _completions(spec: Tree, succeeded: int) -> str:
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_state(tree: Tree) -> str:
    status = status_of(tree)
    for condition, text in (("Complete", "Complete"), ("Failed", "Failed")):
        if has_condition(status, condition):
            return text
    if being_deleted(tree):
        return "Terminating"
    for condition, text in (("Suspended", "Suspended"), ("FailureTarget", "FailureTarget")):
        if has_condition(status, condition):
            return text
    return "Running"


def _cron_job(tree: Tree, now: float) -> list[Any]:
    spec, status = spec_of(tree), status_of(tree)
    job_spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    suspend = spec.get("suspend")
    last = status.get("lastScheduleTime")
    return [
        name_of(tree),
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        "<unset>" if suspend is None else str(bool(suspend)),
        len(status.get("active") or ()),
        since(last, now) if last else "<none>",
        age(tree, now),
        *container_cells(template_spec(job_spec)),
        selector_text(job_spec.get("selector")),
    ]


def _controller_revision(tree: Tree, now: float) -> list[Any]:
    owner = "<none>"
    for reference in tree["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            group = reference["apiVersion"].rpartition("/")[0]
            kind = f"{reference['kind']}.{group}" if group else reference["kind"]
            owner = f"{kind.lower()}/{reference['name']}"
    return [name_of(tree), owner, tree.get("revision", 0), age(tree, now)]


def _disruption_budget(tree: Tree, now: float) -> list[Any]:
    spec = spec_of(tree)
    bounds = [str(spec.get(field, "N/A")) for field in ("minAvailable", "maxUnavailable")]
    return [name_of(tree), *bounds, counted(tree, "disruptionsAllowed"), age(tree, now)]


def _autoscaler(tree: Tree, now: float) -> list[Any]:
    spec, status = spec_of(tree), status_of(tree)
    target = spec.get("scaleTargetRef") or {}
    return [
        name_of(tree),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(tree),
        str(spec.get("minReplicas", "<unset>")),
        int(spec.get("maxReplicas") or 0),
        int(status.get("currentReplicas") or 0),
        age(tree, now),
    ]


def _metrics(tree: Tree) -> str:
    specs, statuses = spec_of(tree).get("metrics") or (), status_of(tree).get("currentMetrics") or ()
    if not specs and "targetCPUUtilizationPercentage" in spec_of(tree):  # autoscaling/v1
        current = status_of(tree).get("currentCPUUtilizationPercentage")
        shown = "<unknown>" if current is None else f"{current}%"
        return f"cpu: {shown}/{spec_of(tree)['targetCPUUtilizationPercentage']}%"
    texts = list(_metric_texts(specs, statuses))
    if not texts:
        return "<none>"
    more = f" + {len(texts) - 2} more..." if len(texts) > 2 else ""
    return ", ".join(texts[:2]) + more


_SOURCES = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _metric_texts(specs: Any, statuses: Any) -> Iterator[str]:
    for index, spec in enumerate(specs):
        field = _SOURCES.get(spec.get("type", ""))
        if field is None:
            yield "<unknown type>"
            continue
        source = spec.get(field) or {}
        current = ((statuses[index].get(field) or {}) if index < len(statuses) else {}).get("current") or {}
        text = _metric(source.get("target") or {}, current, field)
        yield f"{source.get('name', '')}: {text}" if field in ("resource", "containerResource") else text


def _metric(target: Tree, current: Tree, field: str) -> str:
    if target.get("averageValue") is not None:
        average = " (avg)" if field in ("external", "object") else ""
        return f"{current.get('averageValue', '<unknown>')}/{target['averageValue']}{average}"
    if field in ("resource", "containerResource"):
        shown = current.get("averageUtilization")
        wanted = target.get("averageUtilization")
        return f"{'<unknown>' if shown is None else f'{shown}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"
    return f"{current.get('value', '<unknown>')}/{target.get('value', '<unknown>')}"


_WIDE = "Containers*|Images*|Selector*"
_SET = f"Name|Desired:integer|Current:integer|Ready:integer|Age|{_WIDE}"

COLUMNS: Mapping[tuple[str, str], Columns] = {
    ("", "replicationcontrollers"): printed(_SET, _replication_controller),
    ("apps", "replicasets"): printed(_SET, _replica_set),
    ("apps", "deployments"): printed(f"Name|Ready|Up-to-date|Available|Age|{_WIDE}", _deployment),
    ("apps", "statefulsets"): printed("Name|Ready|Age|Containers*|Images*", _stateful_set),
    ("apps", "daemonsets"): printed(
        "Name|Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|Available:integer|Node Selector|Age|"
        + _WIDE,
        _daemon_set,
    ),
    ("apps", "controllerrevisions"): printed("Name|Controller|Revision|Age", _controller_revision),
    ("batch", "jobs"): printed(f"Name|Status|Completions|Duration|Age|{_WIDE}", _job),
    ("batch", "cronjobs"): printed(
        f"Name|Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age|{_WIDE}", _cron_job
    ),
    ("policy", "poddisruptionbudgets"): printed(
        "Name|Min Available|Max Unavailable|Allowed Disruptions:integer|Age", _disruption_budget
    ),
    ("autoscaling", "horizontalpodautoscalers"): printed(
        "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age", _autoscaler
    ),
}
