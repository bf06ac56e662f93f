"""Approves nodes' requests for client certificates, where RBAC lets the requester have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podkeeper.api.authorization import v1 as authorization
from podkeeper.api.certificates import v1
from podkeeper.controllers.certificates.conditions import APPROVED, is_answered, with_condition
from podkeeper.controllers.certificates.usages import KUBELET_CLIENT, Asked, kubelet_client_objection
from podkeeper.controllers.framework import Key, Tools, Watch, own_key

_SELF = ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
_ANY = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


class CertificateApproval:
    """Keys are requests."""

    name = "certificate-controller"
    workers = 1

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._requests = tools.informer(v1.CertificateSigningRequest)

    def watches(self) -> Sequence[Watch[Any]]:
        """Every request."""
        return (Watch(self._requests, own_key),)

    async def reconcile(self, key: Key) -> None:
        """Approves the request, or leaves it to people."""
        request = self._requests.lister.get("", key.name)
        if request is None or is_answered(request) or request.spec.signer_name != KUBELET_CLIENT:
            return
        asked = _asked(request)
        if asked is None or kubelet_client_objection(asked, request.spec.usages):
            return
        for subresource, message in (_SELF, _ANY):
            if subresource == "selfnodeclient" and request.spec.username != asked.common_name:
                continue
            if await self._may(request, subresource):
                approved = with_condition(request, APPROVED, "AutoApproved", message, self._tools.clock.time())
                await self._tools.api.of(v1.CertificateSigningRequest).update(approved, subresource="approval")
                return

    async def _may(self, request: v1.CertificateSigningRequest, subresource: str) -> bool:
        attributes = authorization.ResourceAttributes(
            group="certificates.k8s.io",
            resource="certificatesigningrequests",
            verb="create",
            subresource=subresource,
            version="*",
        )
        spec = request.spec
        review = authorization.SubjectAccessReview(
            spec=authorization.SubjectAccessReviewSpec(
                user=spec.username,
                uid=spec.uid,
                groups=spec.groups,
                extra=spec.extra,
                resource_attributes=attributes,
            )
        )
        answer = await self._tools.api.of(authorization.SubjectAccessReview).create(review)
        return bool(answer.status and answer.status.allowed)


def _asked(request: v1.CertificateSigningRequest) -> Asked | None:
    from podkeeper.controllers.certificates import issuing  # few clusters see requests

    try:
        return issuing.asked(issuing.read(request.spec.request))
    except issuing.CannotSign:
        return None
