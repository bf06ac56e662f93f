"""Events in both versions. Events of the new sort, which have an eventTime, say who reports and what was done.

Fields are shown by the names that the server knows them by in both versions. Whether a change is good is judged as for
core/v1, in which events are stored: nothing is fixed.
Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.validation.fields import Found

if TYPE_CHECKING:
    from podkeeper.api.core import v1
    from podkeeper.api.events import v1 as events

_SHORT_LIMIT = 128
_NOTE_LIMIT = 1024
_TYPES = ("Normal", "Warning")
_CLUSTER_WIDE = ("default", "kube-system")
_UNSET = "needs to be unset"


def core_event(found: Found, obj: v1.Event) -> None:
    """An event as core/v1 takes it."""
    own, about = obj.metadata.namespace, obj.involved_object.namespace
    if not obj.event_time:
        if about != own and (about or own not in ("", "default")):
            found.invalid("involvedObject.namespace", about, "does not match event.namespace")
        return
    _namespace(found, own, about)
    _reporter(found, obj.reporting_component, obj.reporting_instance)
    _said(found, obj.action, obj.reason, obj.message)


def core_event_update(found: Found, new: v1.Event, old: v1.Event) -> None:
    """Everything may change."""
    core_event(found, new)


def new_event(found: Found, obj: events.Event) -> None:
    """An event as events.k8s.io/v1 takes it: of the new sort, without what only the old sort had."""
    own, about = obj.metadata.namespace, obj.regarding.namespace
    if obj.event_time:
        _namespace(found, own, about)
        _reporter(found, obj.reporting_controller, obj.reporting_instance)
        _said(found, obj.action, obj.reason, obj.note)
    else:
        if about != own and (about or own not in ("", "default")):
            found.invalid("involvedObject.namespace", about, "does not match event.namespace")
        found.required("eventTime")
    if obj.series is not None:
        if (obj.series.count or 0) < 2:
            found.invalid("series.count", "", "should be at least 2")
        if not obj.series.last_observed_time:
            found.required("series.lastObservedTime")
    if obj.type not in _TYPES:
        found.invalid("type", "", f"has invalid value: {obj.type}")
    source = obj.deprecated_source
    for name, given in (
        ("firstTimestamp", obj.deprecated_first_timestamp),
        ("lastTimestamp", obj.deprecated_last_timestamp),
        ("count", obj.deprecated_count),
        ("source", source.component or source.host),
    ):
        if given:
            found.invalid(name, "", _UNSET)


def new_event_update(found: Found, new: events.Event, old: events.Event) -> None:
    """Everything may change."""
    new_event(found, new)


def _namespace(found: Found, own: str, about: str) -> None:
    """Events about cluster-wide objects are kept in two namespaces."""
    if not about and own not in _CLUSTER_WIDE:
        found.invalid("involvedObject.namespace", about, "does not match event.namespace")


def _reporter(found: Found, controller: str, instance: str) -> None:
    if not controller:
        found.required("reportingController")
    found.check("reportingController", controller, names.qualified_name)
    _text(found, "reportingInstance", instance)


def _said(found: Found, action: str, reason: str, note: str) -> None:
    _text(found, "action", action)
    _text(found, "reason", reason)
    if len(note.encode()) > _NOTE_LIMIT:
        found.invalid("message", "", f"can have at most {_NOTE_LIMIT} characters")


def _text(found: Found, at: str, value: str) -> None:
    if not value:
        found.required(at)
    elif len(value.encode()) > _SHORT_LIMIT:
        found.invalid(at, "", f"can have at most {_SHORT_LIMIT} characters")
