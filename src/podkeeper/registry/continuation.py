"""Continue tokens of paged lists: the revision of the first page and the key to go on from.

The form is upstream's (base64url JSON of version, revision and start key relative to the list's prefix), opaque to
clients. Revision -1 means: go on with whatever is current, the consistent rest being gone. Source:
https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import binascii
import posixpath
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import orjson
from msgspec import Struct

from podkeeper.api.errors import ApiError, bad_request

_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1


class Continuation(Struct, frozen=True):
    """``after`` is the full key of the last object already given; ``revision`` is INCONSISTENT for "whatever is
    now"."""

    revision: int
    after: str


def encode(continuation: Continuation, prefix: str) -> str:
    """The token for a list over ``prefix``."""
    start = continuation.after[len(prefix) :] + "\0"
    body = orjson.dumps({"v": _VERSION, "rv": continuation.revision, "start": start})
    return urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(token: str, prefix: str) -> Continuation:
    """Raises 400 for a token that this server cannot have given out."""
    fields = _fields(token)
    if fields.get("v") != _VERSION:
        raise _invalid(f"server does not recognize this encoded version {fields.get('v', '')}")
    revision, start = fields.get("rv", 0), fields.get("start", "")
    if not isinstance(revision, int) or not isinstance(start, str):
        raise _invalid("json: cannot unmarshal the fields")
    if revision == 0:
        raise _invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not start:
        raise _invalid("encoded start key empty (version meta.k8s.io/v1)")
    absolute = start if start.startswith("/") else f"/{start}"
    if posixpath.normpath(absolute) != absolute:
        raise _invalid(start)
    return Continuation(revision, prefix + absolute[1:].rstrip("\0"))


def _fields(token: str) -> dict[str, Any]:
    try:
        body = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        fields = orjson.loads(body)
    except (binascii.Error, ValueError) as error:
        raise _invalid(str(error)) from error
    if not isinstance(fields, dict):
        raise _invalid("json: cannot unmarshal into a continue token")
    return fields


def _invalid(why: str) -> ApiError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")
