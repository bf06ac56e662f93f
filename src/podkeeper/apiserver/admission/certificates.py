"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction and ClusterTrustBundleAttest: who speaks for
a signer, and what nobody may ask it for.

Source: Kubernetes, "Certificates and Certificate Signing Requests".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.registry.admission import Attributes, Operation

Tree = Mapping[str, Any]

_GROUP = "certificates.k8s.io"
_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_MASTERS = "system:masters"


class _SignerPlugin(Plugin):
    """Asks whether the user may do something in the name of a signer."""

    def __init__(self, live: LiveObjects, authorizer: Authorizer) -> None:
        super().__init__(live)
        self._authorizer = authorizer

    async def _may(self, attributes: Attributes, verb: str, signer: str) -> bool:
        for name in (signer, f"{signer.partition('/')[0]}/*"):
            asked = RequestInfo(
                path="", verb=verb, is_resource=True, group=_GROUP, version="*", resource="signers", name=name
            )
            if (await self._authorizer.decide(attributes.user, asked)).allowed:
                return True
        return False


class CertificateApproval(_SignerPlugin):
    """Judges approvals and denials."""

    interest = interest("UPDATE", f"{_GROUP}/certificatesigningrequests/approval")

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for who may not approve for the signer."""
        signer = _signer(attributes.tree)
        if not await self._may(attributes, "approve", signer):
            raise forbidden(attributes, f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning(_SignerPlugin):
    """Judges certificates and conditions that are written into a request's status."""

    interest = interest("UPDATE", f"{_GROUP}/certificatesigningrequests/status")

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for who may not sign for the signer."""
        new, old = (attributes.tree or {}).get("status") or {}, (attributes.old or {}).get("status") or {}
        if all(new.get(field) == old.get(field) for field in ("certificate", "conditions")):
            return
        signer = _signer(attributes.old)
        if not await self._may(attributes, "sign", signer):
            raise forbidden(attributes, f'user not permitted to sign requests with signerName "{signer}"')


class ClusterTrustBundleAttest(_SignerPlugin):
    """Judges bundles that claim to be a signer's."""

    interest = interest("CREATE UPDATE", f"{_GROUP}/clustertrustbundles")

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for who may not attest for the signer. An update that changes nothing is anybody's."""
        signer = _signer(attributes.tree)
        unchanged = attributes.old is not None and attributes.old.get("spec") == (attributes.tree or {}).get("spec")
        if signer and not unchanged and not await self._may(attributes, "attest", signer):
            raise forbidden(attributes, f'user not permitted to attest for signerName "{signer}"')


class CertificateSubjectRestriction(Plugin):
    """Nobody becomes a master of the cluster by a certificate that he asked for."""

    interest = interest("CREATE", f"{_GROUP}/certificatesigningrequests")

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for a request in the group of masters."""
        assert attributes.operation is Operation.CREATE
        if _signer(attributes.tree) != _CLIENT_SIGNER:
            return
        text = ((attributes.tree or {}).get("spec") or {}).get("request") or ""
        try:
            groups = organizations(base64.b64decode(text))
        except (ValueError, binascii.Error) as error:
            raise forbidden(attributes, f"failed to parse CSR: {error}") from error
        if _MASTERS in groups:
            why = f"use of {_CLIENT_SIGNER} signer with {_MASTERS} group is not allowed"
            raise forbidden(attributes, why)


def _signer(tree: Tree | None) -> str:
    return str(((tree or {}).get("spec") or {}).get("signerName") or "")


def organizations(request: bytes) -> list[str]:
    """The groups of a certificate signing request in PEM. Raises ValueError."""
    from cryptography import x509  # loaded with the first request
    from cryptography.x509.oid import NameOID

    subject = x509.load_pem_x509_csr(request).subject
    return [str(each.value) for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
