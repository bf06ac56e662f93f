"""Signs approved requests of the four signers that a control plane has."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from podkeeper.api.certificates import v1
from podkeeper.controllers.certificates.conditions import FAILED, to_be_signed, with_condition
from podkeeper.controllers.certificates.usages import SIGNERS, objection
from podkeeper.controllers.framework import Key, Tools, Watch, own_key
from podkeeper.foundation.keyfiles import KeyPair

if TYPE_CHECKING:
    from podkeeper.controllers.certificates.issuing import Signer

#: Seconds: what a certificate lives at the most, and at the least; upstream's.
LONGEST, SHORTEST = 365 * 24 * 3600, 600


class CertificateSigning:
    """Keys are requests."""

    name = "certificate-controller"
    workers = 1

    def __init__(self, tools: Tools, authority: KeyPair) -> None:
        self._tools, self._authority = tools, authority
        self._requests = tools.informer(v1.CertificateSigningRequest)
        self._signer: Signer | None = None

    def watches(self) -> Sequence[Watch[Any]]:
        """Every request."""
        return (Watch(self._requests, own_key),)

    async def reconcile(self, key: Key) -> None:
        """Signs the request, or says why it cannot be."""
        request = self._requests.lister.get("", key.name)
        if request is None or request.spec.signer_name not in SIGNERS or not to_be_signed(request):
            return
        await self._tools.api.of(v1.CertificateSigningRequest).update(self._answered(request), subresource="status")

    def _answered(self, request: v1.CertificateSigningRequest) -> v1.CertificateSigningRequest:
        from podkeeper.controllers.certificates import issuing  # few clusters see requests

        spec, now = request.spec, self._tools.clock.time()
        if self._signer is None:
            self._signer = issuing.Signer(self._authority)
        try:
            parsed = issuing.read(spec.request)
            why = objection(spec.signer_name, issuing.asked(parsed), spec.usages)
            if why:
                return with_condition(request, FAILED, "SignerValidationFailure", why, now)
            certificate = self._signer.sign(parsed, spec.usages, lifetime(spec.expiration_seconds), now)
        except issuing.CannotSign as error:
            return with_condition(request, FAILED, "SignerValidationFailure", str(error), now)
        text = base64.b64encode(certificate).decode()
        return msgspec.structs.replace(request, status=msgspec.structs.replace(request.status, certificate=text))


def lifetime(wished: int | None) -> int:
    """Seconds that a certificate lives for which so many are wished."""
    return LONGEST if wished is None else max(SHORTEST, min(wished, LONGEST))
