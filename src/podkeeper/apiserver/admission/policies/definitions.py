"""Policies and their bindings, as they are followed from the registry.

Policies come by name, and the bindings of one by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct

from podkeeper.api.selectors.labels import Selector
from podkeeper.apiserver.admission.matching import Rule, selector
from podkeeper.apiserver.live import LiveObjects

Tree = Mapping[str, Any]
P = TypeVar("P")

GROUP = "admissionregistration.k8s.io"


class Constraints(Struct, frozen=True):
    """``matchConstraints`` of a policy, ``matchResources`` of a binding."""

    rules: tuple[Rule, ...]
    excluded: tuple[Rule, ...]
    namespaces: Selector | None
    objects: Selector | None
    equivalent: bool

    @classmethod
    def of(cls, tree: Tree) -> Constraints:
        """Reads them."""
        return cls(
            rules=tuple(Rule.of(each) for each in tree.get("resourceRules") or ()),
            excluded=tuple(Rule.of(each) for each in tree.get("excludeResourceRules") or ()),
            namespaces=selector(tree.get("namespaceSelector")),
            objects=selector(tree.get("objectSelector")),
            equivalent=tree.get("matchPolicy") != "Exact",
        )


class Binding(Struct, frozen=True):
    """A binding; ``constraints`` None: it is about all that the policy is about."""

    name: str
    policy: str
    constraints: Constraints | None
    param: Tree | None
    actions: tuple[str, ...]

    @classmethod
    def of(cls, tree: Tree) -> Binding:
        """Reads one."""
        spec = tree.get("spec") or {}
        matched = spec.get("matchResources")
        return cls(
            name=tree["metadata"]["name"],
            policy=spec.get("policyName") or "",
            constraints=Constraints.of(matched) if matched else None,
            param=spec.get("paramRef"),
            actions=tuple(spec.get("validationActions") or ()),
        )


class Definition(Generic[P]):
    """A policy: what it is about, and its expressions, which are compiled with the first write that it concerns."""

    def __init__(self, tree: Tree, compile_policy: Callable[[Tree], P]) -> None:
        self.tree, self._compile = tree, compile_policy
        self.name = str(tree["metadata"]["name"])
        spec = tree.get("spec") or {}
        self.constraints = Constraints.of(spec.get("matchConstraints") or {})
        self.param_kind: Tree | None = spec.get("paramKind")
        self.ignores_failures = spec.get("failurePolicy") == "Ignore"
        self._program: P | None = None

    @property
    def program(self) -> P:
        """The compiled expressions."""
        if self._program is None:
            self._program = self._compile(self.tree.get("spec") or {})
        return self._program


class Definitions(Generic[P]):
    """All policies of one resource with their bindings."""

    def __init__(self, live: LiveObjects, resource: str, compile_policy: Callable[[Tree], P]) -> None:
        self._live, self._compile = live, compile_policy
        self._policies, self._bindings = resource, f"{resource.removesuffix('ies')}ybindings"
        self._known = (-1, -1)
        self._hooks: Sequence[tuple[Definition[P], Sequence[Binding]]] = ()

    async def hooks(self) -> Sequence[tuple[Definition[P], Sequence[Binding]]]:
        """The policies that are bound, as they are now; read again only when something has changed."""
        policies = await self._live.followed(GROUP, self._policies)
        bindings = await self._live.followed(GROUP, self._bindings)
        state = (policies.changes, bindings.changes)
        if state != self._known:
            self._known = state
            self._hooks = self._read(policies.all(), bindings.all())
        return self._hooks

    def _read(
        self, policies: Sequence[Tree], bindings: Sequence[Tree]
    ) -> Sequence[tuple[Definition[P], Sequence[Binding]]]:
        bound: dict[str, list[Binding]] = {}
        for each in map(Binding.of, bindings):
            bound.setdefault(each.policy, []).append(each)
        return [
            (Definition(tree, self._compile), bound[tree["metadata"]["name"]])
            for tree in policies
            if tree["metadata"]["name"] in bound
        ]
