"""Aggregated ClusterRoles: their rules are those of all roles that their selectors match, kept up as roles come and
change.

A decision is a pure function over all ClusterRoles; one task writes what differs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.authorization.rbac import GROUP
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.verbs import RequestContext, WatchEvent

log = logging.getLogger(__name__)

Tree = Mapping[str, Any]


def aggregated_rules(role: Tree, roles: Sequence[Tree]) -> list[Any]:
    """The rules that an aggregated role is to have: those of the matching roles by name, each once."""
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    rules: list[Any] = []
    for selector in selectors:
        for other in sorted(roles, key=lambda each: str(each["metadata"]["name"])):
            if other["metadata"]["name"] != role["metadata"]["name"] and _matches(selector, other):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


def outdated(roles: Sequence[Tree]) -> dict[str, list[Any]]:
    """Name and new rules of every aggregated role whose rules are not what they should be."""
    wanted = {
        str(role["metadata"]["name"]): aggregated_rules(role, roles) for role in roles if role.get("aggregationRule")
    }
    present = {str(role["metadata"]["name"]): role.get("rules") or [] for role in roles}
    return {name: rules for name, rules in wanted.items() if rules != present[name]}


def _matches(selector: Tree, role: Tree) -> bool:
    from podkeeper.api import codec
    from podkeeper.api.meta import v1 as meta
    from podkeeper.api.selectors import labels

    parsed = labels.from_label_selector(codec.from_tree(meta.LabelSelector, dict(selector)))
    return parsed.matches(role["metadata"].get("labels") or {})


class RoleAggregator:
    """Keeps aggregated roles right while ``run`` runs."""

    def __init__(self, live: LiveObjects, context: RequestContext) -> None:
        self._live, self._context = live, context
        self._roles: dict[str, Tree] = {}
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Learns of all roles and every later change."""
        await self._live.follow(GROUP, "clusterroles", self._take)

    async def settle(self) -> None:
        """Writes until everything is as it should be: aggregated roles may aggregate one another."""
        for _ in range(8):
            changes = outdated(list(self._roles.values()))
            if not changes:
                return
            for name, rules in changes.items():
                await self._write(name, rules)

    async def run(self) -> None:
        """Settles after each change, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.settle()
            except ApiError as error:
                log.warning("cannot update an aggregated ClusterRole: %s", error)

    async def _write(self, name: str, rules: list[Any]) -> None:
        verbs = self._live.verbs(GROUP, "clusterroles")
        try:
            item, _ = await verbs.update(self._context, "", name, {**self._roles[name], "rules": rules})
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return  # it has changed or gone meanwhile: its event brings us back
        self._roles[name] = item.tree()

    def _take(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            if event.item is None:
                continue
            if event.type == "DELETED":
                self._roles.pop(event.item.name, None)
            else:
                self._roles[event.item.name] = event.item.tree()
        self._changed.set()
