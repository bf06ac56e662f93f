"""A pod as the checks see it: its annotations, its spec, and how its containers are named in what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

Tree = Mapping[str, Any]

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})


class Violation(NamedTuple):
    """Why a pod is not of a level: a word for all of its kind, and where."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


class PodView(Struct, frozen=True):
    """Annotations and spec of a pod or of a workload's template."""

    annotations: Mapping[str, str]
    spec: Tree

    @classmethod
    def of(cls, tree: Tree) -> PodView:
        """That of an object with metadata and spec."""
        metadata = tree.get("metadata") or {}
        return cls(metadata.get("annotations") or {}, tree.get("spec") or {})

    @property
    def security(self) -> Tree:
        """The pod's security context."""
        return self.spec.get("securityContext") or {}

    @property
    def is_windows(self) -> bool:
        """The pod says that it is for Windows."""
        return (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def has_user_namespace(self) -> bool:
        """Its users are not the host's, which makes root harmless."""
        return self.spec.get("hostUsers") is False

    def containers(self) -> Iterator[tuple[str, Tree, Tree]]:
        """Name, security context and container of every container, in the order in which they are looked at."""
        for field in _CONTAINERS:
            for container in self.spec.get(field) or ():
                yield container.get("name") or "", container.get("securityContext") or {}, container

    def named(self, wanted: Callable[[Tree], bool]) -> list[str]:
        """The names of the containers with such a security context."""
        return [name for name, security, _ in self.containers() if wanted(security)]


#: A check: what it says about a pod.
Check = Callable[[PodView], Violation | None]


def quoted(names: Iterable[str]) -> str:
    """``"a", "b"``."""
    return ", ".join(json.dumps(name) for name in names)


def plural(one: str, many: str, count: int) -> str:
    """The word for that many."""
    return one if count == 1 else many


def containers_text(names: Sequence[str]) -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{plural('container', 'containers', len(names))} {quoted(names)}"


def setters(pod: bool, names: Sequence[str]) -> str:
    """Who sets something: ``pod and container "a"``."""
    return " and ".join([*(["pod"] if pod else []), *([containers_text(names)] if names else [])])


def forbidden_profiles(pod: PodView, member: str) -> tuple[bool, list[str], list[str]]:
    """Who sets a profile other than the runtime's own or one of the node: whether the pod does, which containers do,
    and the types that they name, sorted. ``member`` of the security context holds the profile."""
    kinds: set[str] = set()

    def is_bad(security: Tree) -> bool:
        profile = security.get(member)
        if profile is None or profile.get("type") in _PROFILES:
            return False
        kinds.add(profile.get("type") or "")
        return True

    on_pod, bad = is_bad(pod.security), pod.named(is_bad)
    return on_pod, bad, sorted(kinds)
