"""API errors: an exception that knows its HTTP code and its ``Status`` body (reasons and texts as upstream words them).

Source: meta/v1 Status and https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct


class Cause(Struct, frozen=True):
    """One StatusCause: a machine-readable reason (FieldValueInvalid, ...), a text and a field path."""

    reason: str
    message: str
    field: str = ""

    def tree(self) -> dict[str, str]:
        """The cause as JSON, empty members left out."""
        pairs = {"reason": self.reason, "message": self.message, "field": self.field}
        return {key: value for key, value in pairs.items() if value}


class ApiError(Exception):
    """A request that failed, as the client will see it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        group: str = "",
        kind: str = "",
        name: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after: int = 0,
        detailed: bool = False,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.group, self.kind, self.name, self.uid = group, kind, name, uid
        self.causes, self.retry_after = tuple(causes), retry_after
        #: Details stand in the Status also when they are empty.
        self.detailed = detailed

    def details(self) -> dict[str, Any]:
        """StatusDetails; ``kind`` there is the resource's plural for most reasons and the Kind for Invalid."""
        details: dict[str, Any] = {
            "name": self.name,
            "group": self.group,
            "kind": self.kind,
            "uid": self.uid,
            "causes": [cause.tree() for cause in self.causes],
            "retryAfterSeconds": self.retry_after,
        }
        return {key: value for key, value in details.items() if value}

    def status(self) -> dict[str, Any]:
        """The Status object that goes over the wire."""
        tree: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details(),
            "code": self.code,
        }
        shown = ("metadata", "details") if self.detailed else ("metadata",)
        return {key: value for key, value in tree.items() if value or key in shown}


def qualified(resource: str, group: str) -> str:
    """``deployments.apps``, or plain ``pods`` for the core group, as messages name resources."""
    return f"{resource}.{group}" if group else resource


def not_found(resource: str, group: str, name: str) -> ApiError:
    """404 NotFound."""
    text = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, "NotFound", text, group=group, kind=resource, name=name)


def already_exists(resource: str, group: str, name: str) -> ApiError:
    """409 AlreadyExists."""
    text = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, group=group, kind=resource, name=name)


def conflict(resource: str, group: str, name: str, why: str) -> ApiError:
    """409 Conflict."""
    text = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, "Conflict", text, group=group, kind=resource, name=name)


def modified(resource: str, group: str, name: str) -> ApiError:
    """409 Conflict for a write that named an outdated resourceVersion."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource, group, name, why)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 Invalid, with one cause per field error; the message says the same thing once."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    text = (
        f'{qualified(kind, group)} "{name}" is invalid: {listed}'
        if texts
        else f'{qualified(kind, group)} "{name}" is invalid'
    )
    return ApiError(422, "Invalid", text, group=group, kind=kind, name=name, causes=causes)


def bad_request(message: str) -> ApiError:
    """400 BadRequest."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401 Unauthorized: credentials were given and are wrong."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: str, group: str, name: str, message: str) -> ApiError:
    """403 Forbidden."""
    text = (
        f'{qualified(resource, group)} "{name}" is forbidden: {message}'
        if name
        else f"{qualified(resource, group)} is forbidden: {message}"
    )
    return ApiError(403, "Forbidden", text, group=group, kind=resource, name=name)


def method_not_allowed(resource: str, group: str, verb: str) -> ApiError:
    """405 MethodNotAllowed: the resource has no such verb."""
    text = f"{verb} is not supported on resources of kind {qualified(resource, group)!r}".replace("'", '"')
    return ApiError(405, "MethodNotAllowed", text, group=group, kind=resource)


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    """406 NotAcceptable: no media type that the client accepts can be served."""
    return ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415 UnsupportedMediaType: the body's Content-Type cannot be read."""
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", text)


def expired(message: str) -> ApiError:
    """410 Expired: the resource version asked for is gone."""
    return ApiError(410, "Expired", message)


def too_large(message: str) -> ApiError:
    """413 RequestEntityTooLarge."""
    return ApiError(413, "RequestEntityTooLarge", message)


def timeout(message: str, retry_after: int = 0) -> ApiError:
    """504 Timeout."""
    return ApiError(504, "Timeout", message, retry_after=retry_after)


def too_many_requests(message: str, retry_after: int = 1) -> ApiError:
    """429 TooManyRequests."""
    return ApiError(429, "TooManyRequests", message, retry_after=retry_after)


def internal(message: str) -> ApiError:
    """500 InternalError."""
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")


def unavailable(message: str) -> ApiError:
    """503 ServiceUnavailable."""
    return ApiError(503, "ServiceUnavailable", message)
