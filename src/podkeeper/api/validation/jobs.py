"""Jobs and CronJobs.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

from msgspec.structs import replace

from podkeeper.api.selectors import labels
from podkeeper.api.validation import cron
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.metadata import of_template
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
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


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
    mode = spec.completion_mode
    if mode not in ("", "Indexed", "NonIndexed"):
        found.unsupported(f"{at}.completionMode", mode, ("Indexed", "NonIndexed"))
    elif mode == "Indexed":
        if spec.completions is None:
            found.required(f"{at}.completions", "when completion mode is Indexed")
        if (spec.parallelism or 0) > _MAX_INDEXED:
            why = f"must be less than or equal to {_MAX_INDEXED} when completion mode is Indexed"
            found.invalid(f"{at}.parallelism", spec.parallelism, why)
    elif spec.backoff_limit_per_index is not None:
        found.invalid(f"{at}.backoffLimitPerIndex", spec.backoff_limit_per_index, "requires indexed completion mode")
    if spec.managed_by and "/" not in spec.managed_by:
        found.invalid(f"{at}.managedBy", spec.managed_by, 'must be a domain-prefixed path (such as "acme.io/foo")')
    if spec.pod_replacement_policy not in ("", "Failed", "TerminatingOrFailed"):
        found.unsupported(f"{at}.podReplacementPolicy", spec.pod_replacement_policy, ("Failed", "TerminatingOrFailed"))
    template(found, f"{at}.template", spec.template)
    policy = spec.template.spec.restart_policy
    if policy in ("", "Always"):  # Always is also what defaulting makes of a policy that was not given
        found.required(f"{at}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    _failure_policy(found, at, spec)


def _failure_policy(found: Found, at: str, spec: batch.JobSpec) -> None:
    policy = spec.pod_failure_policy
    if policy is None:
        return
    if spec.template.spec.restart_policy == "OnFailure":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        found.invalid(f"{at}.template.spec.restartPolicy", "OnFailure", why)
    for path, rule in indexed(f"{at}.podFailurePolicy.rules", policy.rules):
        found.one_of(f"{path}.action", rule.action, _ACTIONS)
        if rule.on_exit_codes is None and not rule.on_pod_conditions:
            found.invalid(path, rule, "specifying one of OnExitCodes and OnPodConditions is required")
        elif rule.on_exit_codes is not None and rule.on_pod_conditions:
            found.invalid(path, rule, "specifying both OnExitCodes and OnPodConditions is not supported")
        if rule.on_exit_codes is not None:
            found.one_of(f"{path}.onExitCodes.operator", rule.on_exit_codes.operator, ("In", "NotIn"))
            if not rule.on_exit_codes.values:
                found.invalid(f"{path}.onExitCodes.values", [], "at least one value is required")


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
