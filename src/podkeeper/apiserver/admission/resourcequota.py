"""ResourceQuota: refuses what would use more than a namespace may. Last in the chain: nothing may be refused after
it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.admission.plugin import Interest, Plugin, forbidden
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.quota import usage
from podkeeper.apiserver.quota.ledger import Ledger
from podkeeper.foundation.clock import Clock
from podkeeper.registry.admission import Attributes, Operation

Tree = Mapping[str, Any]


class ResourceQuota(Plugin):
    """Judges every new object, and changes of objects that then use more."""

    interest = Interest(frozenset({Operation.CREATE, Operation.UPDATE}))

    def __init__(self, live: LiveObjects, clock: Clock) -> None:
        super().__init__(live)
        self._ledger = Ledger(live, clock)

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for what exceeds a quota, or does not say how much it needs where that is limited."""
        row, tree = attributes.resource, attributes.tree
        if not row.namespaced or tree is None or attributes.dry_run or (row.group, row.name) == ("", "resourcequotas"):
            return
        quotas = (await self.live.followed("", "resourcequotas")).all(attributes.namespace)
        if not quotas:
            return
        wanted = self._wanted(attributes, tree)
        concerned = [quota for quota in quotas if self._concerns(quota, attributes, tree, wanted)]
        if not concerned:
            return
        items = await self._ledger.items(row, attributes.namespace)
        if attributes.operation is Operation.CREATE and any(item.name == attributes.name for item in items):
            return  # it will fail for its name, and must not hold a place meanwhile
        # No waiting from here on: what is free now is still free when it is taken.
        for quota in concerned:
            _judge(attributes, quota, wanted, self._ledger.used(quota, row, attributes.namespace, items))
        if attributes.operation is Operation.CREATE:
            self._ledger.reserve(row, attributes.namespace, tree)

    def _wanted(self, attributes: Attributes, tree: Tree) -> usage.Amounts:
        """What the write uses in addition."""
        row = attributes.resource
        new = usage.of_object(row.group, row.name, tree)
        if attributes.old is None:
            return new
        old = usage.of_object(row.group, row.name, attributes.old)
        more = {name: amount - old.get(name, Quantity(0)) for name, amount in new.items()}
        return {name: amount for name, amount in more.items() if amount.sign() > 0}

    def _concerns(self, quota: Tree, attributes: Attributes, tree: Tree, wanted: usage.Amounts) -> bool:
        row, hard = attributes.resource, _hard(quota)
        if not usage.in_scope(quota, row.group, row.name, tree):
            return False
        if (row.group, row.name) == ("", "pods") and attributes.operation is Operation.CREATE:
            missing = usage.unstated(hard, tree)
            if missing:
                stated = "; ".join(f"{name} for: {','.join(names)}" for name, names in missing.items())
                raise forbidden(attributes, f"failed quota: {quota['metadata']['name']}: must specify {stated}")
        return any(name in wanted for name in hard)


def _hard(quota: Tree) -> Mapping[str, Any]:
    hard: Mapping[str, Any] = (quota.get("spec") or {}).get("hard") or {}
    return hard


def _judge(attributes: Attributes, quota: Tree, wanted: usage.Amounts, used: usage.Amounts) -> None:
    hard = {name: Quantity(amount) for name, amount in _hard(quota).items()}
    asked = [name for name in hard if name in wanted]
    exceeded = [name for name in asked if used.get(name, Quantity(0)) + wanted[name] > hard[name]]
    if exceeded:
        parts = (usage.text(amounts, exceeded) for amounts in (wanted, used, hard))
        requested, present, limited = parts
        name = quota["metadata"]["name"]
        raise forbidden(
            attributes, f"exceeded quota: {name}, requested: {requested}, used: {present}, limited: {limited}"
        )
