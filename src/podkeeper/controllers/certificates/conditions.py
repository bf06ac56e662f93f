"""What the conditions of a CertificateSigningRequest say. Pure."""

from __future__ import annotations

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.certificates import v1

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"


def has(request: v1.CertificateSigningRequest, kind: str) -> bool:
    """Whether a condition is there; none is ever False."""
    return any(each.type == kind for each in request.status.conditions)


def is_answered(request: v1.CertificateSigningRequest) -> bool:
    """Approved or denied."""
    return has(request, APPROVED) or has(request, DENIED)


def to_be_signed(request: v1.CertificateSigningRequest) -> bool:
    """Approved, and neither signed nor failed yet."""
    approved = has(request, APPROVED) and not has(request, DENIED)
    return approved and not has(request, FAILED) and not request.status.certificate


def with_condition(
    request: v1.CertificateSigningRequest, kind: str, reason: str, message: str, now: float
) -> v1.CertificateSigningRequest:
    """The request with one more condition."""
    at = timestamps.format_time(now)
    condition = v1.CertificateSigningRequestCondition(
        type=kind, status="True", reason=reason, message=message, last_update_time=at, last_transition_time=at
    )
    conditions = (*request.status.conditions, condition)
    return msgspec.structs.replace(request, status=msgspec.structs.replace(request.status, conditions=conditions))
