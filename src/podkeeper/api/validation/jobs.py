"""Jobs and CronJobs.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

from msgspec.structs import replace

from podkeeper.api import names
from podkeeper.api.selectors import labels
from podkeeper.api.validation import cron
from podkeeper.api.validation.fields import OMITTED, Found, indexed
from podkeeper.api.validation.metadata import of_template
from podkeeper.api.validation.paths import prefixed_path
from podkeeper.api.validation.selectors import label_selector
from podkeeper.api.validation.templates import MISMATCH, numbers, template

if TYPE_CHECKING:
    from podkeeper.api.batch import v1 as batch

_MAX_INDEXED = 100_000
_COUNTS = (
    ("parallelism", "parallelism"),
    ("completions", "completions"),
    ("activeDeadlineSeconds", "active_deadline_seconds"),
    ("backoffLimit", "backoff_limit"),
    ("ttlSecondsAfterFinished", "ttl_seconds_after_finished"),
    ("backoffLimitPerIndex", "backoff_limit_per_index"),
    ("maxFailedIndexes", "max_failed_indexes"),
)
_MAX_OF_MANY = 10_000
_MAX_RULES = 20
_MAX_CODES = 255
_MAX_MANAGER = 63
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_NEEDS_INDEXES = "requires indexed completion mode"


def job(found: Found, obj: batch.Job) -> None:
    """A new Job, whose selector and labels have been generated."""
    spec = obj.spec
    _job_spec(found, "spec", spec)
    if spec.selector is None:
        found.required("spec.selector")
        return
    label_selector(found, "spec.selector", spec.selector)
    pod_labels = spec.template.metadata.labels
    if not found and not labels.from_label_selector(spec.selector).matches(pod_labels):
        found.invalid("spec.template.metadata.labels", pod_labels, MISMATCH)


def job_update(found: Found, new: batch.Job, old: batch.Job) -> None:
    """Completions, selector and template stay; a suspended job's pods may still be placed elsewhere."""
    _job_spec(found, "spec", new.spec)
    after, before = new.spec, old.spec
    elastic = after.completion_mode == "Indexed" and after.completions == after.parallelism
    if not (elastic and before.completions == before.parallelism):
        found.unchanged("spec.completions", after.completions, before.completions)
    found.unchanged("spec.selector", after.selector, before.selector)
    unstarted = bool(before.suspend) and not old.status.start_time
    if after.template != before.template and not (unstarted and _only_placement(after, before)):
        found.unchanged("spec.template", after.template, before.template)
    found.unchanged("spec.completionMode", after.completion_mode or None, before.completion_mode or None)
    found.unchanged("spec.podFailurePolicy", after.pod_failure_policy, before.pod_failure_policy)
    found.unchanged("spec.backoffLimitPerIndex", after.backoff_limit_per_index, before.backoff_limit_per_index)
    found.unchanged("spec.managedBy", after.managed_by or None, before.managed_by or None)
    found.unchanged("spec.successPolicy", after.success_policy, before.success_policy)


def cron_job(found: Found, obj: batch.CronJob) -> None:
    """A new or changed CronJob."""
    spec = obj.spec
    if not spec.schedule:
        found.required("spec.schedule")
    else:
        _schedule(found, "spec.schedule", spec.schedule)
    if spec.time_zone:
        _time_zone(found, "spec.timeZone", spec.time_zone)
    found.not_negative("spec.startingDeadlineSeconds", spec.starting_deadline_seconds)
    found.one_of("spec.concurrencyPolicy", spec.concurrency_policy, ("Allow", "Forbid", "Replace"))
    found.not_negative("spec.successfulJobsHistoryLimit", spec.successful_jobs_history_limit)
    found.not_negative("spec.failedJobsHistoryLimit", spec.failed_jobs_history_limit)
    of_template(found, "spec.jobTemplate.metadata", spec.job_template.metadata)
    _job_spec(found, "spec.jobTemplate.spec", spec.job_template.spec)
    if spec.job_template.spec.manual_selector:
        found.unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))


def cron_job_update(found: Found, new: batch.CronJob, old: batch.CronJob) -> None:
    """Everything may change."""
    cron_job(found, new)


def _job_spec(found: Found, at: str, spec: batch.JobSpec) -> None:
    numbers(found, at, spec, _COUNTS)
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        found.required(f"{at}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.managed_by:
        prefixed_path(found, f"{at}.managedBy", spec.managed_by)
        if len(spec.managed_by) > _MAX_MANAGER:
            found.too_long(f"{at}.managedBy", _MAX_MANAGER)
    mode = spec.completion_mode
    if mode and mode not in ("NonIndexed", "Indexed"):
        found.unsupported(f"{at}.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed":
        _indexed(found, at, spec)
    elif mode in ("", "NonIndexed"):
        for name, value in (
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
        ):
            if value is not None:
                found.invalid(f"{at}.{name}", value, _NEEDS_INDEXES)
    if spec.pod_failure_policy is not None:
        _failure_policy(found, f"{at}.podFailurePolicy", spec)
    if spec.success_policy is not None:
        _success_policy(found, f"{at}.successPolicy", spec)
    supported = ("Failed",) if spec.pod_failure_policy is not None else ("Failed", "TerminatingOrFailed")
    if spec.pod_replacement_policy and spec.pod_replacement_policy not in supported:
        found.unsupported(f"{at}.podReplacementPolicy", spec.pod_replacement_policy, supported)
    template(found, f"{at}.template", spec.template)
    _restart_policy(found, f"{at}.template.spec.restartPolicy", spec)


def _restart_policy(found: Found, at: str, spec: batch.JobSpec) -> None:
    policy = spec.template.spec.restart_policy
    if policy in ("", "Always"):  # Always is also what defaulting makes of a policy that was not given
        found.required(at, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        found.unsupported(at, policy, ("OnFailure", "Never"))
    elif spec.pod_failure_policy is not None and policy != "Never":
        found.invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _indexed(found: Found, at: str, spec: batch.JobSpec) -> None:
    """Bounds of a Job whose pods have numbers; they are tighter where there are very many and each may fail."""
    completions, parallelism, failed = spec.completions, spec.parallelism, spec.max_failed_indexes
    if completions is None:
        found.required(f"{at}.completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > _MAX_INDEXED:
        why = f"must be less than or equal to {_MAX_INDEXED} when completion mode is Indexed"
        found.invalid(f"{at}.parallelism", parallelism, why)
    if completions is not None and failed is not None and failed > completions:
        found.invalid(f"{at}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > _MAX_INDEXED:
        found.invalid(f"{at}.maxFailedIndexes", failed, f"must be less than or equal to {_MAX_INDEXED}")
    if completions is None or completions <= _MAX_INDEXED or spec.backoff_limit_per_index is None:
        return
    if failed is None:
        found.required(f"{at}.maxFailedIndexes", f"must be specified when completions is above {_MAX_INDEXED}")
    why = f"must be less than or equal to {_MAX_OF_MANY} when completions are above {_MAX_INDEXED} and used with "
    for name, value in (("parallelism", parallelism), ("maxFailedIndexes", failed)):
        if value is not None and value > _MAX_OF_MANY:
            found.invalid(f"{at}.{name}", value, why + "backoff limit per index")


def _failure_policy(found: Found, at: str, spec: batch.JobSpec) -> None:
    policy, pod = spec.pod_failure_policy, spec.template.spec
    if policy is None:
        return
    if len(policy.rules) > _MAX_RULES:
        found.too_many(f"{at}.rules", len(policy.rules), _MAX_RULES)
    containers = {container.name for container in (*pod.containers, *pod.init_containers)}
    for path, rule in indexed(f"{at}.rules", policy.rules):
        if not rule.action:
            found.required(f"{path}.action", _valid_values(_ACTIONS))
        elif rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
            found.invalid(f"{path}.action", rule.action, "requires the backoffLimitPerIndex to be set")
        else:
            found.one_of(f"{path}.action", rule.action, _ACTIONS)
        if rule.on_exit_codes is not None:
            _exit_codes(found, f"{path}.onExitCodes", rule.on_exit_codes, containers)
        _pod_conditions(found, f"{path}.onPodConditions", rule.on_pod_conditions)
        if rule.on_exit_codes is not None and rule.on_pod_conditions:
            found.invalid(path, OMITTED, "specifying both OnExitCodes and OnPodConditions is not supported")
        elif rule.on_exit_codes is None and not rule.on_pod_conditions:
            found.invalid(path, OMITTED, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(
    found: Found, at: str, codes: batch.PodFailurePolicyOnExitCodesRequirement, containers: set[str]
) -> None:
    if not codes.operator:
        found.required(f"{at}.operator", _valid_values(_OPERATORS))
    else:
        found.one_of(f"{at}.operator", codes.operator, _OPERATORS)
    if codes.container_name and codes.container_name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        found.invalid(f"{at}.containerName", codes.container_name, why)
    values = codes.values
    if not values:
        found.invalid(f"{at}.values", values, "at least one value is required")
    elif len(values) > _MAX_CODES:
        found.too_many(f"{at}.values", len(values), _MAX_CODES)
    for index, code in enumerate(values):
        if codes.operator == "In" and code == 0:
            found.invalid(f"{at}.values[{index}]", code, "must not be 0 for the In operator")
        if code in values[:index]:
            found.duplicate(f"{at}.values[{index}]", code)
    if list(values) != sorted(values):
        found.invalid(f"{at}.values", values, "must be ordered")


def _pod_conditions(found: Found, at: str, patterns: tuple[batch.PodFailurePolicyOnPodConditionsPattern, ...]) -> None:
    if len(patterns) > _MAX_RULES:
        found.too_many(at, len(patterns), _MAX_RULES)
    for path, pattern in indexed(at, patterns):
        found.check(f"{path}.type", pattern.type, names.qualified_name)
        if not pattern.status:
            found.required(f"{path}.status", _valid_values(_STATUSES))
        else:
            found.one_of(f"{path}.status", pattern.status, _STATUSES)


def _success_policy(found: Found, at: str, spec: batch.JobSpec) -> None:
    policy = spec.success_policy
    if policy is None:
        return
    if spec.completion_mode != "Indexed":
        found.invalid(at, policy, _NEEDS_INDEXES)
        return
    if not policy.rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        found.required(f"{at}.rules", why)
    if len(policy.rules) > _MAX_RULES:
        found.too_many(f"{at}.rules", len(policy.rules), _MAX_RULES)
    completions = spec.completions or 0
    for path, rule in indexed(f"{at}.rules", policy.rules):
        count = rule.succeeded_count
        if count is None and not rule.succeeded_indexes:
            found.required(path, "at least one of succeededCount or succeededIndexes must be specified")
        found.not_negative(f"{path}.succeededCount", count)
        if count is not None and count > completions:
            why = f"must be less than or equal to {completions} (the number of specified completions)"
            found.invalid(f"{path}.succeededCount", count, why)


def _valid_values(supported: tuple[str, ...]) -> str:
    """As Go prints a list of quoted words."""
    return "valid values: [" + " ".join(f'"{each}"' for each in supported) + "]"


def _only_placement(after: batch.JobSpec, before: batch.JobSpec) -> bool:
    """Whether nothing of the template but where its pods may run, and what they ask for, has changed."""
    new, old = after.template, before.template
    containers = new.spec.containers
    if len(containers) == len(old.spec.containers):
        pairs = zip(containers, old.spec.containers, strict=True)
        containers = tuple(replace(mine, resources=other.resources) for mine, other in pairs)
    spec = replace(
        new.spec,
        containers=containers,
        node_selector=old.spec.node_selector,
        affinity=old.spec.affinity,
        tolerations=old.spec.tolerations,
        scheduling_gates=old.spec.scheduling_gates,
    )
    metadata = replace(new.metadata, labels=old.metadata.labels, annotations=old.metadata.annotations)
    return replace(new, spec=spec, metadata=metadata) == old


def _schedule(found: Found, at: str, schedule: str) -> None:
    if "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        found.invalid(at, schedule, why)
        return
    wrong = cron.mistake(schedule)
    if wrong:
        found.invalid(at, schedule, wrong)


def _time_zone(found: Found, at: str, name: str) -> None:
    if name.lower() == "local":
        found.invalid(at, name, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        found.invalid(at, name, f"unknown time zone {name}")
