"""LimitRanger: defaults, minima and maxima of containers, pods and claims, as the namespace's LimitRanges say.

Source: https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podkeeper.api import codec
from podkeeper.api.core import v1
from podkeeper.api.pods import requests
from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.registry.admission import Attributes

Tree = dict[str, Any]
Amounts = Mapping[str, Quantity]

ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    """Applies the LimitRanges of a namespace."""

    interest = interest("CREATE UPDATE", "/pods", "/pods/resize", "/persistentvolumeclaims")

    async def mutate(self, attributes: Attributes) -> None:
        """Gives containers without requests or limits the namespace's defaults."""
        if not _can_change_amounts(attributes):
            return
        ranges = (await self.live.followed("", "limitranges")).all(attributes.namespace)
        if ranges and attributes.resource.name == "pods":
            assert attributes.tree is not None
            for each in ranges:
                set_defaults(attributes.tree, each)

    async def validate(self, attributes: Attributes) -> None:
        """Refuses what is below a minimum, above a maximum or beyond a ratio."""
        if not _can_change_amounts(attributes):
            return
        ranges = (await self.live.followed("", "limitranges")).all(attributes.namespace)
        if not ranges or attributes.tree is None:
            return
        judge = _pod_mistakes if attributes.resource.name == "pods" else _claim_mistakes
        for each in ranges:
            mistakes = list(judge(attributes.tree, _limits(each)))
            if mistakes:
                listed = mistakes[0] if len(mistakes) == 1 else "[" + ", ".join(mistakes) + "]"
                raise forbidden(attributes, listed)


def _can_change_amounts(attributes: Attributes) -> bool:
    """What a pod asks for is settled at its creation, and by resizing it afterwards; a claim may grow at any time."""
    return attributes.old is None or attributes.subresource == "resize" or attributes.resource.name != "pods"


def _limits(limit_range: Tree) -> list[Tree]:
    return list((limit_range.get("spec") or {}).get("limits") or ())


def set_defaults(pod: Tree, limit_range: Tree) -> None:
    """Adds the default requests and limits of one LimitRange to a pod, and says so in an annotation."""
    defaults: dict[str, Tree] = {"requests": {}, "limits": {}}
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            defaults["requests"] |= limit.get("defaultRequest") or {}
            defaults["limits"] |= limit.get("default") or {}
    spec = pod.get("spec") or {}
    notes = []
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(field) or ():
            notes += _complete(container, defaults, what)
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = annotations | {ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}


def _complete(container: Tree, defaults: Mapping[str, Tree], what: str) -> list[str]:
    notes = []
    resources = container.get("resources") or {}
    for side, noun in (("requests", "request"), ("limits", "limit")):
        present = resources.get(side) or {}
        added = {name: amount for name, amount in defaults[side].items() if name not in present}
        if added:
            resources[side] = present | added
            container["resources"] = resources
            notes.append(f"{', '.join(sorted(added))} {noun} for {what} {container.get('name', '')}")
    return notes


def _pod_mistakes(pod: Tree, limits: list[Tree]) -> Iterator[str]:
    spec = codec.from_tree(v1.PodSpec, pod["spec"])
    for limit in limits:
        if limit.get("type") == "Container":
            for container in (*spec.init_containers, *spec.containers):
                resources = container.resources or v1.ResourceRequirements()
                yield from _mistakes(limit, resources.requests, resources.limits)
        elif limit.get("type") == "Pod":
            yield from _mistakes(limit, requests.of_containers(spec), requests.of_containers(spec, "limits"))


def _claim_mistakes(claim: Tree, limits: list[Tree]) -> Iterator[str]:
    resources = (claim.get("spec") or {}).get("resources") or {}
    wanted = {name: Quantity(amount) for name, amount in (resources.get("requests") or {}).items()}
    for limit in limits:
        if limit.get("type") == "PersistentVolumeClaim":
            yield from _claim_bounds(limit, wanted)


def _claim_bounds(limit: Tree, wanted: Amounts) -> Iterator[str]:
    kind = limit["type"]
    for bound, beyond in (("min", "minimum"), ("max", "maximum")):
        for name, text in sorted((limit.get(bound) or {}).items()):
            amount, given = Quantity(text), wanted.get(name)
            if given is not None and (given < amount if bound == "min" else given > amount):
                yield f"{beyond} {name} usage per {kind} is {amount}, but request is {given}"


def _mistakes(limit: Tree, wanted: Amounts, limited: Amounts) -> Iterator[str]:
    kind = limit["type"]
    for name, text in sorted((limit.get("min") or {}).items()):
        yield from _below(name, kind, Quantity(text), wanted, limited)
    for name, text in sorted((limit.get("max") or {}).items()):
        yield from _above(name, kind, Quantity(text), wanted, limited)
    for name, text in sorted((limit.get("maxLimitRequestRatio") or {}).items()):
        yield from _beyond_ratio(name, kind, Quantity(text), wanted, limited)


def _below(name: str, kind: str, least: Quantity, wanted: Amounts, limited: Amounts) -> Iterator[str]:
    head = f"minimum {name} usage per {kind} is {least}"
    if name not in wanted:
        yield f"{head}.  No request is specified"
    elif wanted[name] < least:
        yield f"{head}, but request is {wanted[name]}"
    elif name in limited and limited[name] < least:
        yield f"{head}, but limit is {limited[name]}"


def _above(name: str, kind: str, most: Quantity, wanted: Amounts, limited: Amounts) -> Iterator[str]:
    head = f"maximum {name} usage per {kind} is {most}"
    if name not in limited:
        yield f"{head}.  No limit is specified"
    elif limited[name] > most:
        yield f"{head}, but limit is {limited[name]}"
    elif name in wanted and wanted[name] > most:
        yield f"{head}, but request is {wanted[name]}"


def _beyond_ratio(name: str, kind: str, ratio: Quantity, wanted: Amounts, limited: Amounts) -> Iterator[str]:
    head = f"{name} max limit to request ratio per {kind} is {ratio}"
    if not wanted.get(name):
        yield f"{head}, but no request is specified or request is 0"
    elif not limited.get(name):
        yield f"{head}, but no limit is specified or limit is 0"
    else:
        found = limited[name].as_float() / wanted[name].as_float()
        if found > ratio.as_float():
            yield f"{head}, but provided ratio is {found:f}"
