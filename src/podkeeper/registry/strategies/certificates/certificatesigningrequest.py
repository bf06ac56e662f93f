"""CertificateSigningRequests: carry who asked, and are approved through a subresource."""

from __future__ import annotations

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
        """The certificate is set here; approval and denial are not."""
        keep(new, old, "spec")
        status = new.setdefault("status", {})
        status["conditions"] = [
            *_conditions(old, approval=True),
            *_conditions(new, approval=False),
        ]

    def prepare_for_subresource(self, subresource: str, new: Tree, old: Tree) -> None:
        """``approval``: only conditions change."""
        keep(new, old, "spec")
        conditions = (new.get("status") or {}).get("conditions") or []
        new["status"] = dict(old.get("status") or {}) | {"conditions": conditions}


def _conditions(tree: Tree, approval: bool) -> list[Tree]:
    conditions = (tree.get("status") or {}).get("conditions") or []
    return [each for each in conditions if (each.get("type") in _APPROVAL_CONDITIONS) is approval]
