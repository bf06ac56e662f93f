"""RuntimeClass: a pod of a class takes over its overhead and where it may run."""

from __future__ import annotations

from typing import Any

from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.registry.admission import Attributes

Tree = dict[str, Any]


class RuntimeClass(Plugin):
    """Completes pods that name a runtime class."""

    interest = interest("CREATE", "/pods")

    async def mutate(self, attributes: Attributes) -> None:
        """Adds overhead, node selector and tolerations. Raises 403 for an unknown class or a contradiction."""
        assert attributes.tree is not None
        spec = attributes.tree.setdefault("spec", {})
        name = spec.get("runtimeClassName")
        if not name:
            if spec.get("overhead"):
                why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                raise forbidden(attributes, why)
            return
        found = await self.live.get("node.k8s.io", "runtimeclasses", "", name)
        if found is None:
            raise forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        _set_overhead(attributes, spec, (found.get("overhead") or {}).get("podFixed") or {})
        _set_scheduling(attributes, spec, found.get("scheduling") or {})


def _set_overhead(attributes: Attributes, spec: Tree, overhead: Tree) -> None:
    given = spec.get("overhead")
    if given and _amounts(given) != _amounts(overhead):
        raise forbidden(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if overhead:
        spec["overhead"] = dict(overhead)


def _amounts(resources: Tree) -> dict[str, Quantity]:
    return {name: Quantity(amount) for name, amount in resources.items()}


def _set_scheduling(attributes: Attributes, spec: Tree, scheduling: Tree) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.setdefault(key, value) != value:
            raise forbidden(
                attributes,
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}",
            )
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or ())
    tolerations += [dict(each) for each in scheduling.get("tolerations") or () if each not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations
