"""From an unsuccessful HTTP answer to the ``ApiError`` that the server meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from podkeeper.api.errors import ApiError, Cause

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
SHOWN_BYTES = 200


def from_answer(code: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error in an answer with status ``code``; a body that is no Status (a proxy's, say) is quoted."""
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        tree = None
    seconds = retry_after(headers)
    if isinstance(tree, dict) and tree.get("kind") == "Status":
        return from_status(tree, code, seconds)
    shown = body[:SHOWN_BYTES].decode(errors="replace").strip()
    text = f"the server answered {code}" + (f": {shown}" if shown else "")
    return ApiError(code, REASONS.get(code, ""), text, retry_after=seconds)


def from_status(status: Mapping[str, Any], code: int = 500, seconds: int = 0) -> ApiError:
    """The error in a Status tree; ``code`` and ``seconds`` (to wait before a retry) where it names none."""
    details = status.get("details") or {}
    code = status.get("code") or code
    causes = [
        Cause(cause.get("reason", ""), cause.get("message", ""), cause.get("field", ""))
        for cause in details.get("causes") or ()
    ]
    return ApiError(
        code,
        status.get("reason") or REASONS.get(code, ""),
        status.get("message", ""),
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        name=details.get("name", ""),
        uid=details.get("uid", ""),
        causes=causes,
        retry_after=details.get("retryAfterSeconds") or seconds,
    )


def retry_after(headers: Mapping[str, str]) -> int:
    """Seconds of the Retry-After header, 0 without one (or with a date, which API servers do not send)."""
    value = headers.get("Retry-After", "")
    return int(value) if value.isdigit() else 0
