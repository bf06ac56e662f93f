"""RBAC: roles and bindings kept compiled by watching them, bindings found by subject.

A change bumps ``generation``, by which those who remember decisions notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.gojson.quoting import quoted
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authorization.rules import Rule, compile_rules
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.registry.verbs import WatchEvent

GROUP = "rbac.authorization.k8s.io"

#: (kind, name): ("User", "alice"), ("Group", "system:masters"), ("ServiceAccount", "default/builder").
Subject = tuple[str, str]
_RoleKey = tuple[str, str]


class Binding(Struct, frozen=True):
    """A RoleBinding (with its namespace) or a ClusterRoleBinding (namespace empty)."""

    namespace: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...]

    @property
    def role_key(self) -> _RoleKey:
        """Where the role stands: its namespace and name."""
        return (self.namespace if self.role_kind == "Role" else "", self.role_name)


class Grant(Struct, frozen=True):
    """A binding that gives a rule to a subject."""

    binding: Binding
    subject: Subject
    rule: Rule

    def reason(self) -> str:
        """Upstream's words for why something is allowed."""
        kind, name = self.subject
        if kind == "ServiceAccount":  # where it is found by its namespace, it is told by its name
            name = "/".join(reversed(name.split("/")))
        if self.binding.namespace:
            bound = f'RoleBinding "{self.binding.name}/{self.binding.namespace}"'
        else:
            bound = f'ClusterRoleBinding "{self.binding.name}"'
        role = f'{self.binding.role_kind} "{self.binding.role_name}"'
        return f"RBAC: allowed by {bound} of {role} to {kind} {quoted(name)}"


class RbacIndex:
    """What the role objects say now."""

    def __init__(self) -> None:
        self.generation = 0
        self._roles: dict[_RoleKey, tuple[Rule, ...]] = {}
        self._bindings: dict[tuple[str, str], Binding] = {}
        self._by_subject: dict[Subject, dict[tuple[str, str], Binding]] = {}

    async def follow(self, live: LiveObjects) -> None:
        """Takes the present objects and every later change."""
        for resource in ("roles", "clusterroles"):
            await live.follow(GROUP, resource, self._sink(self.set_role, self.remove_role))
        for resource in ("rolebindings", "clusterrolebindings"):
            await live.follow(GROUP, resource, self._sink(self.set_binding, self.remove_binding))

    def set_role(self, tree: Mapping[str, Any]) -> None:
        """A Role or ClusterRole as it is now."""
        self._roles[_key(tree)] = compile_rules(tree)
        self.generation += 1

    def remove_role(self, tree: Mapping[str, Any]) -> None:
        """A role is gone."""
        self._roles.pop(_key(tree), None)
        self.generation += 1

    def set_binding(self, tree: Mapping[str, Any]) -> None:
        """A binding as it is now."""
        self.remove_binding(tree)
        binding = _binding(tree)
        key = _key(tree)
        self._bindings[key] = binding
        for subject in binding.subjects:
            self._by_subject.setdefault(subject, {})[key] = binding

    def remove_binding(self, tree: Mapping[str, Any]) -> None:
        """A binding is gone."""
        self.generation += 1
        key = _key(tree)
        old = self._bindings.pop(key, None)
        for subject in old.subjects if old else ():
            bindings = self._by_subject.get(subject, {})
            bindings.pop(key, None)
            if not bindings:
                self._by_subject.pop(subject, None)

    def grants(self, user: UserInfo, namespace: str) -> Iterator[Grant]:
        """Every rule that the user has in ``namespace``, cluster-wide ones first."""
        for scope in ("", namespace) if namespace else ("",):
            for subject in subjects_of(user):
                for binding in self._by_subject.get(subject, {}).values():
                    if binding.namespace == scope:
                        for rule in self._roles.get(binding.role_key, ()):
                            yield Grant(binding, subject, rule)

    def find(self, user: UserInfo, info: RequestInfo) -> Grant | None:
        """The first grant that allows the request."""
        return next((grant for grant in self.grants(user, info.namespace) if grant.rule.allows(info)), None)

    def missing_roles(self, user: UserInfo, namespace: str, plural: str = "") -> list[str]:
        """Roles that the user's bindings name and that do not exist, in the words of a refusal; each once. Upstream
        names the kind where it looks into its copies, and the resource (``plural`` is "s") where it reads the store."""
        found = []
        for subject in subjects_of(user):
            for binding in self._by_subject.get(subject, {}).values():
                if binding.namespace in ("", namespace) and binding.role_key not in self._roles:
                    resource = "role" if binding.role_kind == "Role" else "clusterrole"
                    found.append(f'{resource}{plural}.{GROUP} "{binding.role_name}" not found')
        return list(dict.fromkeys(found))

    def _sink(
        self, put: Callable[[Mapping[str, Any]], None], remove: Callable[[Mapping[str, Any]], None]
    ) -> Callable[[Sequence[WatchEvent]], None]:
        def take(events: Sequence[WatchEvent]) -> None:
            for event in events:
                if event.item is not None:
                    (remove if event.type == "DELETED" else put)(event.item.tree())

        return take


def subjects_of(user: UserInfo) -> Iterator[Subject]:
    """The subjects that stand for a user."""
    yield ("User", user.name)
    for group in user.groups:
        yield ("Group", group)
    parts = user.name.split(":")
    if len(parts) == 4 and user.name.startswith("system:serviceaccount:"):
        yield ("ServiceAccount", f"{parts[2]}/{parts[3]}")


def _key(tree: Mapping[str, Any]) -> tuple[str, str]:
    metadata = tree["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _binding(tree: Mapping[str, Any]) -> Binding:
    namespace, name = _key(tree)
    role = tree["roleRef"]
    subjects = tuple(_subject(each, namespace) for each in tree.get("subjects") or ())
    return Binding(namespace, name, role["kind"], role["name"], subjects)


def _subject(tree: Mapping[str, Any], namespace: str) -> Subject:
    if tree["kind"] == "ServiceAccount":
        return ("ServiceAccount", f"{tree.get('namespace') or namespace}/{tree['name']}")
    return (tree["kind"], tree["name"])
