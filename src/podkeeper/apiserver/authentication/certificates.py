"""The user that a verified client certificate names: common name = user, organizations = groups."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from podkeeper.api.user import AUTHENTICATED_GROUP, UserInfo

#: KEP-4724: the subject attribute that carries the user's UID.
_UID_OID = "1.3.6.1.4.1.57683.2"


def user_of(certificate: Mapping[str, Any]) -> UserInfo | None:
    """The identity in a certificate as ``ssl.getpeercert()`` gives it; None if it names nobody."""
    pairs = [(key, value) for part in certificate.get("subject", ()) for key, value in part]
    names = [value for key, value in pairs if key == "commonName"]
    if not names or not names[0]:
        return None
    groups = [value for key, value in pairs if key == "organizationName"]
    uids = [value for key, value in pairs if key == _UID_OID]
    if AUTHENTICATED_GROUP not in groups:
        groups.append(AUTHENTICATED_GROUP)
    return UserInfo(names[0], uid=uids[0] if uids else "", groups=tuple(groups))


def expiry_of(certificate: Mapping[str, Any]) -> float:
    """When the certificate ends, in seconds since the epoch: a connection may outlive it."""
    return float(ssl.cert_time_to_seconds(certificate["notAfter"]))
