"""What selectors may look at: labels, and the few fields of each kind that field selectors know.

One table says which fields a kind has and where they stand in its JSON. From it a small struct per kind is made that
decodes just these members, so that reading them costs a fraction of decoding the object. Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/#list-of-supported-fields
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from podkeeper.api.errors import bad_request
from podkeeper.api.selectors import fields as field_selectors

Path = tuple[str, ...]

NAME, NAMESPACE = "metadata.name", "metadata.namespace"


class SelectableHead(Struct, frozen=True):
    """Implements ``item.Head``."""

    labels: Mapping[str, str]
    fields: Mapping[str, str]


class Fields(Struct, frozen=True):
    """The selectable fields of one stored kind beside its name and namespace.

    ``paths``: label -> where the value stands; ``defaults``: label -> value when nothing is there; ``fallbacks``: label
    -> another label to take the value from when this one's is empty; ``accepted``: labels that may be named but have no
    value.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    fallbacks: Mapping[str, str] = field(default_factory=dict)
    accepted: frozenset[str] = frozenset()


def _plain(*labels: str, **more: Any) -> Fields:
    return Fields({label: tuple(label.split(".")) for label in labels}, **more)


_OBJECT_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

#: By (group, plural) of what is stored.
SELECTABLE: Mapping[tuple[str, str], Fields] = {
    ("", "pods"): Fields(
        {
            "spec.nodeName": ("spec", "nodeName"),
            "spec.restartPolicy": ("spec", "restartPolicy"),
            "spec.schedulerName": ("spec", "schedulerName"),
            "spec.serviceAccountName": ("spec", "serviceAccountName"),
            "spec.hostNetwork": ("spec", "hostNetwork"),
            "status.phase": ("status", "phase"),
            "status.podIP": ("status", "podIP"),
            "status.nominatedNodeName": ("status", "nominatedNodeName"),
        },
        defaults={"spec.hostNetwork": "false"},
        accepted=frozenset({"status.podIPs"}),
    ),
    ("", "events"): Fields(
        {
            **{f"involvedObject.{member}": ("involvedObject", member) for member in _OBJECT_REFERENCE},
            "reason": ("reason",),
            "reportingComponent": ("reportingComponent",),
            "source": ("source", "component"),
            "type": ("type",),
        },
        fallbacks={"source": "reportingComponent"},
    ),
    ("", "nodes"): _plain("spec.unschedulable", defaults={"spec.unschedulable": "false"}),
    ("", "namespaces"): _plain("status.phase"),
    ("", "secrets"): _plain("type"),
    ("", "services"): _plain("spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): _plain("status.replicas", defaults={"status.replicas": "0"}),
    ("apps", "replicasets"): _plain("status.replicas", defaults={"status.replicas": "0"}),
    ("batch", "jobs"): Fields({"status.successful": ("status", "succeeded")}, defaults={"status.successful": "0"}),
    ("certificates.k8s.io", "certificatesigningrequests"): _plain("spec.signerName"),
    ("certificates.k8s.io", "clustertrustbundles"): _plain("spec.signerName"),
    ("certificates.k8s.io", "podcertificaterequests"): _plain("spec.signerName", "spec.podName", "spec.nodeName"),
    ("resource.k8s.io", "resourceslices"): _plain("spec.nodeName", "spec.driver"),
    ("networking.k8s.io", "ipaddresses"): Fields(),
}

_EVENTS_K8S_IO = {
    **{f"regarding.{member}": f"involvedObject.{member}" for member in _OBJECT_REFERENCE},
    "reason": "reason",
    "reportingController": "reportingComponent",
    "type": "type",
}

#: (group, plural) of a served resource whose labels are other words for the stored one's.
ALIASES: Mapping[tuple[str, str], Mapping[str, str]] = {("events.k8s.io", "events"): _EVENTS_K8S_IO}


class HeadReader:
    """Decodes the heads of one stored kind."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._decoder = msgspec.json.Decoder(_head_struct(list(fields.paths.values())))
        self._getters = [(label, _getter(path)) for label, path in fields.paths.items()]

    def __call__(self, content: bytes, namespace: str, name: str) -> SelectableHead:
        """The head of an object, from its JSON."""
        decoded: Any = self._decoder.decode(content)
        fields = {NAME: name, NAMESPACE: namespace} if namespace else {NAME: name}
        defaults = self._fields.defaults
        for label, get in self._getters:
            value = get(decoded)
            fields[label] = _text(value) if value is not None else defaults.get(label, "")
        for label, other in self._fields.fallbacks.items():
            fields[label] = fields[label] or fields[other]
        return SelectableHead(decoded.metadata.labels or {}, fields)


class FieldLabels:
    """Which labels a served resource's field selectors may name, and their translation to the stored kind's."""

    def __init__(self, own: Fields | None, namespaced: bool, aliases: Mapping[str, str] | None = None) -> None:
        names = {NAME: NAME, NAMESPACE: NAMESPACE} if namespaced else {NAME: NAME}
        if own is not None:
            names |= aliases or {label: label for label in (*own.paths, *own.accepted)}
        self._names, self._has_own = names, own is not None and bool(own.paths)

    @staticmethod
    def of(served: tuple[str, str], stored: tuple[str, str], namespaced: bool) -> FieldLabels:
        """Those of a built-in resource, by (group, plural)."""
        return FieldLabels(SELECTABLE.get(stored), namespaced, ALIASES.get(served))

    def parse(self, text: str) -> field_selectors.Selector:
        """The selector in the stored kind's words. Raises 400 with upstream's texts."""
        if not text:
            return field_selectors.EVERYTHING
        try:
            parsed = field_selectors.parse(text)
        except field_selectors.SelectorError as error:
            raise bad_request(str(error)) from error
        return field_selectors.Selector(tuple(self._translated(each) for each in parsed.requirements))

    def _translated(self, requirement: field_selectors.Requirement) -> field_selectors.Requirement:
        name = self._names.get(requirement.field)
        if name is None:
            raise bad_request(self._refusal(requirement.field))
        return field_selectors.Requirement(name, requirement.value, requirement.negated)

    def _refusal(self, label: str) -> str:
        if self._has_own:
            return f"field label not supported: {label}"
        return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def head_reader(stored: tuple[str, str]) -> HeadReader:
    """The reader for a stored resource, by (group, plural)."""
    return HeadReader(SELECTABLE.get(stored, Fields()))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _head_struct(paths: list[Path]) -> type[msgspec.Struct]:
    nested: dict[str, Any] = {"metadata": {"labels": dict[str, str]}}
    for path in paths:
        level = nested
        for step in path[:-1]:
            level = level.setdefault(step, {})
        level[path[-1]] = str | bool | int
    return _struct("Head", nested)


def _struct(name: str, members: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields = []
    for member, kind in members.items():
        inner = _struct(f"{name}_{member}", kind) if isinstance(kind, dict) else kind
        required = isinstance(kind, dict) and member == "metadata"
        fields.append((member, inner) if required else (member, inner | None, None))
    return msgspec.defstruct(name, fields, gc=False, kw_only=True)


def _getter(path: Path) -> Callable[[Any], Any]:
    if len(path) == 1:
        (only,) = path
        return lambda head: getattr(head, only)

    def get(head: Any) -> Any:
        for step in path:
            if head is None:
                return None
            head = getattr(head, step)
        return head

    return get
