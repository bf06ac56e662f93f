"""Answers: prepared headers, trees as JSON, YAML or protobuf, Status objects for errors, Warning headers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.negotiation import PROTOBUF, YAML, Rendering, accepted, is_for_eyes
from podkeeper.foundation.http import Request, Response
from podkeeper.foundation.http.messages import Headers

_NO_CACHE = b"Cache-Control: no-cache, private\r\n"
JSON_HEAD = _NO_CACHE + b"Content-Type: application/json\r\n"
YAML_HEAD = _NO_CACHE + b"Content-Type: application/yaml\r\n"
PROTOBUF_HEAD = _NO_CACHE + b"Content-Type: application/vnd.kubernetes.protobuf\r\n"
WATCH_HEADS = {
    PROTOBUF: _NO_CACHE + b"Content-Type: application/vnd.kubernetes.protobuf;stream=watch\r\n",
}
TEXT_HEAD = _NO_CACHE + b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"

_PLAIN = Rendering()
#: Characters of all warnings together, and of each where that is too little.
_MOST_WARNED, _MOST_OF_ONE = 4096, 256


def json_body(body: bytes, status: int = 200, headers: Headers = ()) -> Response:
    """JSON bytes that are ready."""
    return Response(status, JSON_HEAD, body, headers)


def tree(value: Any, rendering: Rendering = _PLAIN, status: int = 200, headers: Headers = ()) -> Response:
    """A plain tree in the media type the client asked for."""
    if rendering.media_type == YAML:
        from podkeeper.apiserver import yamls  # few clients ask for it

        return Response(status, YAML_HEAD, yamls.dump(value), headers)
    if rendering.media_type == PROTOBUF:
        return Response(status, PROTOBUF_HEAD, in_protobuf(value), headers)
    return Response(status, JSON_HEAD, _json(value, rendering.pretty), headers)


def _json(value: Any, pretty: bool) -> bytes:
    """JSON; free-form parts of a tree may hold numbers of any size."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2) if pretty else orjson.dumps(value) + b"\n"
    except TypeError:
        return json.dumps(value, indent=2 if pretty else None).encode() + (b"" if pretty else b"\n")


def in_protobuf(value: Mapping[str, Any]) -> bytes:
    """An object as a protobuf body. Raises 406 for a kind that protobuf does not know."""
    from podkeeper.api import protobuf  # not every client wants it

    api_version, kind = value.get("apiVersion", "v1"), value["kind"]
    if not protobuf.is_kind(api_version, kind):
        why = "does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
        raise ApiError(406, "NotAcceptable", f"object *{api_version.rpartition('/')[2]}.{kind} {why}")
    return protobuf.encode({"apiVersion": api_version, **value})


def text(message: str, status: int = 200, headers: Headers = ()) -> Response:
    """Plain text, as health checks and unknown paths give it."""
    return Response(status, TEXT_HEAD, message.encode(), headers)


def closing(message: str, status: int, headers: Headers = ()) -> Response:
    """Plain text after which the connection is closed."""
    return Response(status, TEXT_HEAD, message.encode(), headers, close=True)


def unchanged(request: Request, etag: bytes) -> bool:
    """Whether the client holds what this quoted tag names already, so that 304 is the answer."""
    held = request.headers.get(b"if-none-match")
    if held is None:
        return False
    return held.strip() == b"*" or etag in (tag.strip().removeprefix(b"W/") for tag in held.split(b","))


def failure(error: ApiError, request: Request) -> Response:
    """An error as its Status object, in JSON for a client that takes nothing that we have."""
    try:
        found = accepted(request.headers.get(b"accept", b""))
        pretty = found.pretty or is_for_eyes(request.headers.get(b"user-agent", b""))
        rendering = Rendering(found.media_type, pretty=pretty)
    except ApiError:
        rendering = Rendering(pretty=True)
    headers: Headers = ()
    if error.retry_after:
        headers = ((b"Retry-After", b"%d" % error.retry_after),)
    return tree(error.status(), rendering, error.code, headers)


def success(name: str, group: str, resource: str, uid: str) -> dict[str, Any]:
    """The Status that tells of a deleted object."""
    details = {"name": name, "group": group, "kind": resource, "uid": uid}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def warnings(messages: Iterable[str]) -> Headers:
    """Warning headers (RFC 7234, code 299), each message once. Where it is too much, each is cut, and the last ones go;
    the figures are upstream's."""
    told = list(dict.fromkeys(messages))
    if sum(map(len, told)) > _MOST_WARNED:
        told = list(_within_bounds(told))
    return tuple((b"Warning", f'299 - "{_quoted(message)}"'.encode()) for message in told)


def _within_bounds(messages: Iterable[str]) -> Iterator[str]:
    length = 0
    for message in messages:
        if length >= _MOST_WARNED:
            return
        cut = message[:_MOST_OF_ONE]
        length += len(cut)
        yield cut


def _quoted(message: str) -> str:
    cleaned = "".join(character if character.isprintable() else " " for character in message)
    return cleaned.replace("\\", "\\\\").replace('"', '\\"')
