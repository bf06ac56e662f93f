"""Pod templates and the selectors that find their pods.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.selectors import labels
from podkeeper.api.validation.fields import Found
from podkeeper.api.validation.metadata import of_template
from podkeeper.api.validation.pods import pod_spec
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.meta.v1 import LabelSelector

MISMATCH = "`selector` does not match template `labels`"


def template(found: Found, at: str, value: v1.PodTemplateSpec) -> None:
    """A template by itself."""
    of_template(found, f"{at}.metadata", value.metadata)
    pod_spec(found, f"{at}.spec", value.spec, whole=False)
    if value.spec.ephemeral_containers:
        found.forbidden(f"{at}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def running(found: Found, at: str, value: v1.PodTemplateSpec, owner: str) -> None:
    """A template of pods that are meant to run for ever; ``owner`` is the kind that upstream's message names."""
    template(found, at, value)
    policy = value.spec.restart_policy
    if policy in ("Never", "OnFailure"):
        found.unsupported(f"{at}.spec.restartPolicy", policy, ("Always",))
    if value.spec.active_deadline_seconds is not None:
        found.forbidden(f"{at}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {owner} is not Supported")


def selector_of(found: Found, selector: LabelSelector | None, pod_labels: Mapping[str, str], kind: str) -> None:
    """``spec.selector``: given, not empty, and finding the template's pods."""
    at = "spec.selector"
    if selector is None:
        if kind != "daemonset":
            found.required(at)
        found.invalid("spec.template.metadata.labels", pod_labels, MISMATCH)
        return
    before = len(found)
    label_selector(found, at, selector)
    if not selector.match_labels and not selector.match_expressions:
        found.invalid(at, selector, f"empty selector is invalid for {kind}")
    elif len(found) == before and not labels.from_label_selector(selector).matches(pod_labels):
        found.invalid("spec.template.metadata.labels", pod_labels, MISMATCH)


def whole_or_percent(found: Found, at: str, value: int | str | None) -> None:
    """A number of 0 or more, or a percentage."""
    if isinstance(value, str):
        for message in names.percent(value):
            found.invalid(at, value, message)
    else:
        found.not_negative(at, value)


def at_most_all(found: Found, at: str, value: int | str | None) -> None:
    """A percentage of 100 at most."""
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        found.invalid(at, value, "must not be greater than 100%")


def is_zero(value: int | str | None) -> bool:
    """Whether a number or percentage is nothing."""
    return value in (0, "0%", None)


def numbers(found: Found, at: str, owner: Any, listed: Sequence[tuple[str, str]]) -> None:
    """Members, as (name, attribute), that hold 0 or more."""
    for name, attribute in listed:
        found.not_negative(f"{at}.{name}", getattr(owner, attribute))
