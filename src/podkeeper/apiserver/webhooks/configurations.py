"""Webhook configurations as they are followed from the registry: every webhook once, in the order of calls.

Configurations come by name, webhooks of one in the order in which they stand there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.selectors.labels import Selector
from podkeeper.apiserver.admission.matching import Rule, selector
from podkeeper.apiserver.live import LiveObjects

Tree = Mapping[str, Any]

GROUP = "admissionregistration.k8s.io"
_DEFAULT_SECONDS = 10


class Webhook(Struct, frozen=True, eq=False):
    """One webhook. ``uid`` tells it from all others; ``conditions`` are (name, expression)."""

    uid: str
    name: str
    configuration: str
    client: Tree
    rules: tuple[Rule, ...]
    namespaces: Selector | None
    objects: Selector | None
    conditions: tuple[tuple[str, str], ...]
    review_versions: tuple[str, ...]
    seconds: int
    side_effects: str
    ignores_failures: bool
    equivalent: bool
    reinvoked: bool

    @classmethod
    def of(cls, tree: Tree, configuration: str, uid: str) -> Webhook:
        """Reads one entry of ``webhooks``, defaults as the API has them."""
        conditions = tree.get("matchConditions") or ()
        return cls(
            uid=uid,
            name=tree["name"],
            configuration=configuration,
            client=tree["clientConfig"],
            rules=tuple(Rule.of(rule) for rule in tree.get("rules") or ()),
            namespaces=selector(tree.get("namespaceSelector")),
            objects=selector(tree.get("objectSelector")),
            conditions=tuple((each["name"], each["expression"]) for each in conditions),
            review_versions=tuple(tree.get("admissionReviewVersions") or ()),
            seconds=tree.get("timeoutSeconds") or _DEFAULT_SECONDS,
            side_effects=tree.get("sideEffects") or "",
            ignores_failures=tree.get("failurePolicy") == "Ignore",
            equivalent=tree.get("matchPolicy") != "Exact",
            reinvoked=tree.get("reinvocationPolicy") == "IfNeeded",
        )


class Configurations:
    """The webhooks of all configurations of one resource."""

    def __init__(self, live: LiveObjects, resource: str) -> None:
        self._live, self._resource = live, resource
        self._known = -1
        self._webhooks: Sequence[Webhook] = ()

    async def webhooks(self) -> Sequence[Webhook]:
        """All of them as they are now; read again only when a configuration has changed."""
        followed = await self._live.followed(GROUP, self._resource)
        if followed.changes != self._known:
            self._known = followed.changes
            self._webhooks = [each for tree in followed.all() for each in _webhooks(tree)]
        return self._webhooks


def _webhooks(tree: Tree) -> list[Webhook]:
    name = tree["metadata"]["name"]
    seen: dict[str, int] = {}
    found = []
    for each in tree.get("webhooks") or ():
        count = seen[each["name"]] = seen.get(each["name"], -1) + 1
        found.append(Webhook.of(each, name, f"{name}/{each['name']}/{count}"))
    return found
