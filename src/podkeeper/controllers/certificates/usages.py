"""Which requests each signer signs, by usages and by the names they ask for. Pure.

Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})

_SIGNATURE, _ENCIPHERMENT = "digital signature", "key encipherment"
_CLIENT_AUTH, _SERVER_AUTH = "client auth", "server auth"


class Asked(Struct, frozen=True):
    """What the certificate request names."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


def objection(signer: str, asked: Asked, usages: Collection[str]) -> str:
    """Why the signer does not sign it, empty where it does."""
    if signer == CLIENT:
        return _client_usages(usages)
    if signer == KUBELET_CLIENT:
        return kubelet_client_objection(asked, usages)
    if signer == KUBELET_SERVING:
        return _kubelet_serving(asked, usages)
    return ""


def kubelet_client_objection(asked: Asked, usages: Collection[str]) -> str:
    """Why it is no request for a node's client certificate, empty where it is one."""
    if asked.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    for names, kind in ((asked.dns, "DNS"), (asked.emails, "Email"), (asked.ips, "IP"), (asked.uris, "URI")):
        if names:
            return f"{kind} subjectAltNames are not allowed"
    if not asked.common_name.startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    return _exactly(usages, _CLIENT_AUTH)


def _kubelet_serving(asked: Asked, usages: Collection[str]) -> str:
    if asked.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    if not asked.dns and not asked.ips:
        return "DNS or IP subjectAltName is required"
    for names, kind in ((asked.emails, "Email"), (asked.uris, "URI")):
        if names:
            return f"{kind} subjectAltNames are not allowed"
    if not asked.common_name.startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    return _exactly(usages, _SERVER_AUTH)


def _exactly(usages: Collection[str], purpose: str) -> str:
    """Key encipherment is for RSA keys and may be left out."""
    needed = {_SIGNATURE, _ENCIPHERMENT, purpose}
    if set(usages) in (needed, needed - {_ENCIPHERMENT}):
        return ""
    return f"usages did not match [{' '.join(sorted(needed))}]"


def _client_usages(usages: Collection[str]) -> str:
    for usage in usages:
        if usage not in (_SIGNATURE, _ENCIPHERMENT, _CLIENT_AUTH):
            return f"invalid usage for client certificate: {usage}"
    return "" if _CLIENT_AUTH in usages else f"missing required usage for client certificate: {_CLIENT_AUTH}"
