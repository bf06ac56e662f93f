"""Who writes roles and bindings may grant only what he holds, unless he may ``escalate`` or ``bind``.

Upstream does this in front of the store of roles; here it has the shape of all other judgements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from podkeeper.api.errors import ApiError
from podkeeper.api.user import MASTERS_GROUP
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.authorization.escalation import described, uncovered
from podkeeper.apiserver.authorization.rbac import GROUP
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.registry.admission import Attributes


class RbacEscalation(Plugin):
    """Judges roles and bindings."""

    interest = interest(
        "CREATE UPDATE",
        f"{GROUP}/roles",
        f"{GROUP}/clusterroles",
        f"{GROUP}/rolebindings",
        f"{GROUP}/clusterrolebindings",
    )

    def __init__(self, live: LiveObjects, authorizer: Authorizer) -> None:
        super().__init__(live)
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for a grant of what the writer does not hold."""
        if MASTERS_GROUP in attributes.user.groups or attributes.tree is None:
            return
        tree = attributes.tree
        if attributes.resource.name.endswith("roles"):
            if attributes.old is None or _granted(attributes.old) != _granted(tree):
                await self._judge_role(attributes, tree)
            return
        if attributes.old is not None and _grant(attributes.old) == _grant(tree):
            return
        reference = tree.get("roleRef") or {}
        resource = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        namespace = attributes.namespace if resource == "roles" else ""
        role = await self.live.get(GROUP, resource, namespace, reference.get("name", "")) or {}
        await self._judge(attributes, "bind", resource, role.get("rules") or (), reference.get("name", ""))

    async def _judge_role(self, attributes: Attributes, role: Mapping[str, Any]) -> None:
        resource = attributes.resource.name
        await self._judge(attributes, "escalate", resource, role.get("rules") or ())
        if not role.get("aggregationRule"):
            return
        try:
            await self._judge(attributes, "escalate", resource, _EVERYTHING)
        except ApiError:
            raise forbidden(attributes, "must have cluster-admin privileges to use an aggregationRule") from None

    async def _judge(
        self, attributes: Attributes, verb: str, resource: str, rules: Sequence[Mapping[str, Any]], name: str = ""
    ) -> None:
        user = attributes.user
        asked = RequestInfo(path="", verb=verb, is_resource=True, group=GROUP, resource=resource)
        asked = replace(asked, namespace=attributes.namespace, name=name or attributes.name)
        if (await self._authorizer.decide(user, asked)).allowed:
            return
        held = [grant.rule for grant in self._authorizer.rbac.grants(user, attributes.namespace)]
        missing = uncovered(held, rules)
        if missing:
            groups = " ".join(f'"{group}"' for group in user.groups)
            listed = described(missing)
            raise forbidden(
                attributes,
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
                f"not currently held:\n{listed}",
            )


_EVERYTHING = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)


def _granted(role: Mapping[str, Any]) -> tuple[Any, Any]:
    return role.get("rules"), role.get("aggregationRule")


def _grant(tree: Mapping[str, Any]) -> tuple[Any, Any]:
    return tree.get("roleRef"), tree.get("subjects")
