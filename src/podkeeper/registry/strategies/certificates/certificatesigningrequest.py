"""CertificateSigningRequests: carry who asked, and are approved through a subresource."""

from __future__ import annotations

from podkeeper.api import timestamps
from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree, keep

_APPROVAL_CONDITIONS = ("Approved", "Denied")


class CertificateSigningRequestStrategy(Strategy):
    """Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/"""

    rules = Rules(status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """The requester is who sends the request, whatever the body says."""
        user, spec = origin.user, tree.setdefault("spec", {})
        for member in ("username", "uid", "groups", "extra"):
            spec.pop(member, None)
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra.items()}
        tree["status"] = {}

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """A request cannot be changed."""
        keep(new, old, "spec")
        keep(new, old, "status")

    def prepare_for_status_update(self, new: Tree, old: Tree) -> None:
        """The certificate is set here. Approval and denial stay as they are; where there are more or fewer of them,
        validation refuses it."""
        keep(new, old, "spec")
        conditions = list(_conditions(new))
        for approval in _APPROVAL_CONDITIONS:
            before = [each for each in _conditions(old) if each.get("type") == approval]
            after = [index for index, each in enumerate(conditions) if each.get("type") == approval]
            if len(before) == len(after):
                for index, condition in zip(after, before, strict=True):
                    conditions[index] = condition
        _date(conditions, old)
        new["status"] = (new.get("status") or {}) | {"conditions": conditions}

    def prepare_for_subresource(self, subresource: str, new: Tree, old: Tree) -> None:
        """``approval``: only conditions change."""
        keep(new, old, "spec")
        conditions = _conditions(new)
        _date(conditions, old)
        new["status"] = dict(old.get("status") or {}) | {"conditions": conditions}


def _conditions(tree: Tree) -> list[Tree]:
    return (tree.get("status") or {}).get("conditions") or []


def _date(conditions: list[Tree], old: Tree) -> None:
    """Conditions without times get them; one that was there with the same status keeps its time of transition."""
    for condition in conditions:
        same = [
            each for each in _conditions(old) if all(each.get(key) == condition.get(key) for key in ("type", "status"))
        ]
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = timestamps.now()
        if not condition.get("lastTransitionTime"):
            known = same[0].get("lastTransitionTime") if same else None
            condition["lastTransitionTime"] = known or timestamps.now()
