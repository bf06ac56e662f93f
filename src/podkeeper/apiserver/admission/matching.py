"""Whether a rule of a webhook or a policy is about a write: operations, groups, versions, resources, scope, labels.

Source: Kubernetes reference, Dynamic Admission Control, "Matching requests".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import not_found
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.api.selectors.labels import Selector
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes, Operation

Tree = Mapping[str, Any]

#: What judges writes is not judged itself, or nobody could mend it.
_EXEMPT = frozenset(
    {
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    }
)


def is_exempt(attributes: Attributes) -> bool:
    """The write is to a configuration of admission itself."""
    return attributes.resource.group == "admissionregistration.k8s.io" and attributes.resource.name in _EXEMPT


class Rule(Struct, frozen=True):
    """One entry of ``rules`` or ``resourceRules``. ``names`` empty: objects of any name."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    scope: str = "*"
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tree: Tree) -> Rule:
        """Reads a RuleWithOperations or NamedRuleWithOperations."""
        resources = (each.partition("/") for each in tree.get("resources") or ())
        return cls(
            operations=frozenset(tree.get("operations") or ()),
            groups=frozenset(tree.get("apiGroups") or ()),
            versions=frozenset(tree.get("apiVersions") or ()),
            resources=tuple((resource, subresource) for resource, _, subresource in resources),
            scope=tree.get("scope") or "*",
            names=frozenset(tree.get("resourceNames") or ()),
        )

    def matches(self, attributes: Attributes, resource: Resource) -> bool:
        """Whether it is about this write, seen as one of ``resource``."""
        return (
            _has(self.operations, attributes.operation.value)
            and _has(self.groups, resource.group)
            and _has(self.versions, resource.version)
            and any(
                plural in ("*", resource.name) and subresource in ("*", attributes.subresource)
                for plural, subresource in self.resources
            )
            and self._in_scope(attributes)
            and (not self.names or attributes.name in self.names)
        )

    def _in_scope(self, attributes: Attributes) -> bool:
        if self.scope == "*":
            return True
        namespaced = bool(attributes.namespace) and not _is_namespace(attributes)
        return namespaced == (self.scope == "Namespaced")


def _has(wanted: frozenset[str], value: str) -> bool:
    return value in wanted or "*" in wanted


def _is_namespace(attributes: Attributes) -> bool:
    return attributes.resource.group == "" and attributes.resource.name == "namespaces"


def selector(tree: Tree | None) -> Selector | None:
    """A label selector; None where everything matches."""
    if not tree or not (tree.get("matchLabels") or tree.get("matchExpressions")):
        return None
    return label_selectors.from_tree(tree)


def objects_match(wanted: Selector | None, attributes: Attributes) -> bool:
    """Whether the new or the old object has the labels. What has no metadata has no labels to match."""
    if wanted is None:
        return True
    return any(
        wanted.matches(metadata.get("labels") or {})
        for tree in (attributes.tree, attributes.old)
        if tree is not None and isinstance(metadata := tree.get("metadata"), dict)
    )


async def namespace_matches(wanted: Selector | None, attributes: Attributes, live: LiveObjects) -> bool:
    """Whether the object's namespace has the labels; objects of the cluster always match. Raises 404."""
    if wanted is None:
        return True
    if _is_namespace(attributes) and attributes.operation in (Operation.CREATE, Operation.UPDATE):
        tree = attributes.tree or {}
        return wanted.matches((tree.get("metadata") or {}).get("labels") or {})
    name = attributes.name if _is_namespace(attributes) else attributes.namespace
    if not name:
        return True
    found = await namespace_of(name, live)
    if found is None:
        raise not_found("namespaces", "", name)
    return wanted.matches(found["metadata"].get("labels") or {})


async def namespace_of(name: str, live: LiveObjects) -> Tree | None:
    """A namespace as it is now."""
    known = (await live.followed("", "namespaces")).get(name)
    return known if known is not None else await live.get("", "namespaces", "", name)


def seen_as(attributes: Attributes, rules: Sequence[Rule], live: LiveObjects, equivalent: bool) -> Resource | None:
    """The resource by which the rules match a write: its own, or with ``equivalent`` another version of it."""
    own = attributes.resource
    if any(rule.matches(attributes, own) for rule in rules):
        return own
    if not equivalent:
        return None
    for rule in rules:
        for group, version in _named_versions(rule, own):
            verbs = live.registry.verbs(group, version, own.name)
            if verbs is not None and rule.matches(attributes, verbs.resource):
                return verbs.resource
    return None


def _named_versions(rule: Rule, own: Resource) -> list[tuple[str, str]]:
    """Other versions of a resource that a rule names. Events alone are the same in two groups."""
    family = {own.group, *(("", "events.k8s.io") if own.name == "events" else ())}
    groups = family if "*" in rule.groups else family & rule.groups
    pairs = [(group, version) for group in sorted(groups) for version in sorted(rule.versions)]
    return [pair for pair in pairs if pair != (own.group, own.version)]
