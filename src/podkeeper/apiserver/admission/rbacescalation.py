"""Who writes roles and bindings may grant only what he holds, unless he may ``escalate`` or ``bind``.

Upstream does this in front of the store of roles; here it has the shape of all other judgements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from podkeeper.api.errors import ApiError, not_found
from podkeeper.api.gojson.quoting import quoted
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
        tree, old = attributes.tree, attributes.old
        if MASTERS_GROUP in attributes.user.groups or tree is None:
            return
        if old is not None and _frees_alone(tree, old):
            return
        if attributes.resource.name.endswith("roles"):
            await self._judge_role(attributes, tree, old or {})
            return
        reference = tree.get("roleRef") or {}
        name = reference.get("name", "")
        resource = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        if await self._may(attributes, "bind", resource, name):
            return
        role = await self.live.get(GROUP, resource, attributes.namespace if resource == "roles" else "", name)
        if role is None:
            raise not_found(resource, GROUP, name)
        self._judge(attributes, role.get("rules") or ())

    async def _judge_role(self, attributes: Attributes, role: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        if await self._may(attributes, "escalate", attributes.resource.name, attributes.name):
            return
        self._judge(attributes, role.get("rules") or ())
        if not role.get("aggregationRule") and not old.get("aggregationRule"):
            return
        try:
            self._judge(attributes, _EVERYTHING)
        except ApiError:
            raise forbidden(attributes, "must have cluster-admin privileges to use an aggregationRule") from None

    async def _may(self, attributes: Attributes, verb: str, resource: str, name: str) -> bool:
        asked = RequestInfo(path="", verb=verb, is_resource=True, group=GROUP, resource=resource, name=name)
        asked = replace(asked, namespace=attributes.namespace)
        return (await self._authorizer.decide(attributes.user, asked)).allowed

    def _judge(self, attributes: Attributes, rules: Sequence[Mapping[str, Any]]) -> None:
        user, rbac = attributes.user, self._authorizer.rbac
        missing = uncovered([grant.rule for grant in rbac.grants(user, attributes.namespace)], rules)
        if not missing:
            return
        groups = " ".join(map(quoted, user.groups))
        text = (
            f"user {quoted(user.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:"
        )
        text += f"\n{described(missing)}"
        unknown = rbac.missing_roles(user, attributes.namespace, "s")
        if unknown:
            listed = unknown[0] if len(unknown) == 1 else f"[{', '.join(unknown)}]"
            text += f"; resolution errors: [{listed}]"
        raise forbidden(attributes, text)


_EVERYTHING = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)


def _frees_alone(tree: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether nothing changes but what the garbage collector needs to let an object go."""
    return _without_ties(tree) == _without_ties(old)


def _without_ties(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    ties = ("finalizers", "ownerReferences", "managedFields", "resourceVersion")
    metadata = {key: value for key, value in tree["metadata"].items() if key not in ties}
    return {**tree, "metadata": metadata}
