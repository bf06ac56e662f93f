"""What makes pods: names that pods get theirs from, templates, and more than can be tracked.

Source: upstream's strategies of each kind, pkg/api/job.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.warnings.pods import template
from podkeeper.api.warnings.volumes import of_claim_spec

if TYPE_CHECKING:
    from podkeeper.api.apps import v1 as apps
    from podkeeper.api.batch import v1 as batch
    from podkeeper.api.core import v1

_HISTORY = "a negative value retains all historical revisions; a value >= 0 is recommended"
_UNTRACKED = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
    "might not be able to track completedIndexes when a big number of indexes fail"
)
_MOST_COMPLETIONS, _MOST_PARALLEL = 100_000, 10_000
_ZONE = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)


def pod_template(new: v1.PodTemplate, old: v1.PodTemplate | None) -> Iterator[str]:
    """A template as an object of its own."""
    yield from template("template", new.template)


def templated(new: Any, old: Any) -> Iterator[str]:
    """What has nothing but a template to look at."""
    if _is_news(new, old):
        yield from template("spec.template", new.spec.template)


def named_after_pods(new: Any, old: Any) -> Iterator[str]:
    """The same, and its pods are named after it."""
    if old is None:
        yield from _name(new.metadata.name)
    yield from templated(new, old)


def stateful_set(new: apps.StatefulSet, old: apps.StatefulSet | None) -> Iterator[str]:
    """A stateful set: its claims too."""
    if _is_news(new, old):
        yield from template("spec.template", new.spec.template)
        # Upstream's path of a change is another one than that of a creation.
        member = "" if old is None else ".Spec"
        for index, claim in enumerate(new.spec.volume_claim_templates):
            yield from of_claim_spec(f"spec.volumeClaimTemplates[{index}]{member}", claim.spec)
    if (new.spec.revision_history_limit or 0) < 0:
        yield f"spec.revisionHistoryLimit: {_HISTORY}"


def job(new: batch.Job, old: batch.Job | None) -> Iterator[str]:
    """A job."""
    if old is None:
        yield from _name(new.metadata.name)
    if _is_news(new, old):
        yield from _job_spec("spec", new.spec)


def cron_job(new: batch.CronJob, old: batch.CronJob | None) -> Iterator[str]:
    """What makes jobs by the clock."""
    if old is None:
        yield from _name(new.metadata.name)
    if _is_news(new, old):
        yield from _job_spec("spec.jobTemplate.spec", new.spec.job_template.spec)
    if old is not None and "TZ" in new.spec.schedule:
        yield _ZONE


def _job_spec(at: str, spec: batch.JobSpec) -> Iterator[str]:
    many = (spec.completions or 0) > _MOST_COMPLETIONS and (spec.parallelism or 0) > _MOST_PARALLEL
    if spec.completion_mode == "Indexed" and many:
        yield f"{at}: {_UNTRACKED}"
    yield from template(f"{at}.template", spec.template)


def _name(name: str) -> Iterator[str]:
    if messages := names.dns_label(name):
        why = "this is used in Pod names and hostnames, which can result in surprising behavior"
        yield f"metadata.name: {why}; a DNS label is recommended: [{' '.join(messages)}]"


def _is_news(new: Any, old: Any) -> bool:
    return old is None or new.metadata.generation != old.metadata.generation
