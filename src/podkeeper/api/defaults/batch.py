"""batch/v1: Job and CronJob."""

from __future__ import annotations

from typing import Any

from podkeeper.api.defaults import pods
from podkeeper.api.defaults.trees import child, fill, fill_empty, members

Tree = dict[str, Any]

_MAX_INT32 = 2**31 - 1


def job(tree: Tree) -> None:
    """Job: once, six retries. Its selector is made by the strategy, since it carries the uid."""
    spec = job_spec(tree)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    fill(spec, "parallelism", 1)
    fill(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else _MAX_INT32)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        fill_empty(child(tree, "metadata"), "labels", dict(labels))
    fill(spec, "completionMode", "NonIndexed")
    fill(spec, "suspend", False)
    fill(spec, "podReplacementPolicy", "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed")
    fill(spec, "manualSelector", False)


def job_spec(tree: Tree) -> Tree:
    """What the template in a CronJob gets, too: the pod template and the failure policy's patterns."""
    spec = child(tree, "spec")
    pods.pod_template(child(spec, "template"))
    for rule in members(spec.get("podFailurePolicy"), "rules"):
        for pattern in members(rule, "onPodConditions"):
            fill_empty(pattern, "status", "True")
    return spec


def cron_job(tree: Tree) -> None:
    """CronJob: runs may overlap; three good and one failed job are kept."""
    spec = child(tree, "spec")
    fill_empty(spec, "concurrencyPolicy", "Allow")
    fill(spec, "suspend", False)
    fill(spec, "successfulJobsHistoryLimit", 3)
    fill(spec, "failedJobsHistoryLimit", 1)
    job_spec(child(spec, "jobTemplate"))
