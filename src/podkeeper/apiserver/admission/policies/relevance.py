"""Which policies concern a write: each with each of its bindings and each of their params is one invocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver.admission import matching
from podkeeper.apiserver.admission.policies import params
from podkeeper.apiserver.admission.policies.definitions import Binding, Constraints, Definition, Definitions, Tree
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes

P = TypeVar("P")


class Invocation(Struct, Generic[P], frozen=True):
    """One evaluation of a policy. ``problem`` stands for one that could not be prepared."""

    definition: Definition[P]
    binding: Binding
    resource: Resource
    param: Any = None
    problem: str = ""

    @property
    def uid(self) -> str:
        """What tells it from others."""
        metadata = (self.param or {}).get("metadata") or {}
        place = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        return f"{self.definition.name}/{self.binding.name}/{place}"


async def invocations(
    definitions: Definitions[P], attributes: Attributes, live: LiveObjects
) -> Sequence[Invocation[P]]:
    """All that a write causes, in their order."""
    found: list[Invocation[P]] = []
    hooks = await definitions.hooks()
    if not hooks or matching.is_exempt(attributes):
        return found
    for definition, bindings in hooks:
        resource = await _seen_as(definition.constraints, attributes, live)
        if resource is None:
            continue
        for binding in bindings:
            limits = binding.constraints
            if limits is None or await _is_concerned(limits, attributes, live):
                found += await _with_params(definition, binding, resource, attributes, live)
    return found


async def _with_params(
    definition: Definition[P], binding: Binding, resource: Resource, attributes: Attributes, live: LiveObjects
) -> list[Invocation[P]]:
    try:
        given = await params.collect(definition.param_kind, binding.param, attributes.namespace, live)
    except params.BadParams as error:
        problem = f"failed to configure binding: {error}"
        return [Invocation(definition, binding, resource, problem=problem)]
    return [Invocation(definition, binding, resource, each) for each in given]


async def _seen_as(given: Constraints, attributes: Attributes, live: LiveObjects) -> Resource | None:
    """The resource as which a policy sees the write; None where it is not concerned."""
    resource = matching.seen_as(attributes, given.rules, live, given.equivalent)
    if resource is None or not await _selected(given, attributes, live):
        return None
    return resource


async def _is_concerned(given: Constraints, attributes: Attributes, live: LiveObjects) -> bool:
    """A binding without rules is about everything that its selectors leave."""
    if given.rules and matching.seen_as(attributes, given.rules, live, given.equivalent) is None:
        return False
    return await _selected(given, attributes, live)


async def _selected(given: Constraints, attributes: Attributes, live: LiveObjects) -> bool:
    if given.excluded and matching.seen_as(attributes, given.excluded, live, given.equivalent) is not None:
        return False
    if not matching.objects_match(given.objects, attributes):
        return False
    return await matching.namespace_matches(given.namespaces, attributes, live)


async def namespace_of_write(attributes: Attributes, live: LiveObjects) -> Tree | None:
    """What ``namespaceObject`` is: None for objects of the cluster, namespaces among them."""
    is_namespace = (attributes.resource.group, attributes.resource.name) == ("", "namespaces")
    if not attributes.namespace or is_namespace:
        return None
    return await matching.namespace_of(attributes.namespace, live)
