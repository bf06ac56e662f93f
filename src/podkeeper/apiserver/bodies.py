"""Request bodies: bytes to a plain tree, with upstream's words for every way in which a body can be wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, bad_request, too_large, unsupported_media_type
from podkeeper.apiserver.negotiation import JSON, PROTOBUF, YAML, body_type
from podkeeper.foundation.http import Request
from podkeeper.registry.undecodable import SCHEME, other_custom_kind, other_kind

#: Upstream's MaxRequestBodyBytes.
LIMIT = 3 << 20
_SUMMARY = 30
#: What Go calls the part of a body that is read first.
_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SPACE = b" \t\r\n"
_decode = msgspec.json.Decoder().decode
#: An escape of half a surrogate pair. Escaped backslashes and whole pairs are matched first, to be left as they are.
_ESCAPES = re.compile(rb"(\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..")
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")


def decode(request: Request, kind: str, api_version: str = "", complaints: list[str] | None = None) -> Any:
    """The body as a tree. Raises 400 (empty, malformed), 413 and 415.

    ``kind`` is what the path expects; with ``api_version`` known it tells whether protobuf can be read. ``complaints``
    takes what a strict reader of YAML has to say."""
    media = body_type(request.headers.get(b"content-type", b""))
    check_size(request)
    if media == JSON:
        return _decode_json(request.body, kind)
    if media == PROTOBUF:
        return _decode_protobuf(request.body, kind, api_version)
    return _decode_yaml(request.body, kind, complaints)


def check_size(request: Request) -> None:
    """Raises 413 for a body beyond the limit."""
    if request.oversized or len(request.body) > LIMIT:
        raise too_large(f"Request entity too large: limit is {LIMIT}")


def _decode_json(body: bytes, kind: str) -> Any:
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        mended = with_replacements(body)
        if mended != body:
            return _decode_json(mended, kind)
        raise _unrecognized(body, kind, f"couldn't get version/kind; json parse error: {_complaint(body)}") from None


def with_replacements(body: bytes) -> bytes:
    """As Go reads JSON: bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD."""
    text = body.decode("utf-8", "replace").encode()
    return _ESCAPES.sub(lambda found: found[1] or rb"\ufffd", text)


def is_whole(decoded: Any, body: bytes) -> bool:
    """Nothing was lost between a JSON body and its tree: no field stood there twice."""
    if len(msgspec.json.encode(decoded).translate(None, _SPACE)) == len(body.translate(None, _SPACE)):
        return True
    # The client may also have escaped characters or written numbers in another way.
    repeated = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len(members) != len(dict(members))

    json.loads(with_replacements(body), object_pairs_hook=look)
    return not repeated


def as_json(body: bytes) -> tuple[Any, bool]:
    """A body of YAML is often JSON, which is YAML too and read much faster: its tree, and whether it is and repeats no
    field. Halves of characters, as JSON can escape them, are nothing to YAML."""
    if not body.startswith(b"{") or _HALVES.search(body):
        return None, False
    try:
        tree = _decode(body)
        return tree, is_whole(tree, body)
    except (ValueError, RecursionError):
        return None, False


def _decode_yaml(body: bytes, kind: str, complaints: list[str] | None) -> Any:
    from podkeeper.apiserver import yamls

    tree, is_json = as_json(body)
    if is_json:
        return tree
    try:
        tree, complaint = yamls.read(body)
        if complaint and complaints is not None:
            complaints.append(complaint)
        return tree
    except (yamls.YamlError, RecursionError) as error:
        raise _unrecognized(body, kind, str(error)) from None


def _decode_protobuf(body: bytes, kind: str, api_version: str) -> Any:
    from podkeeper.api import protobuf  # not every client sends it

    if api_version and not protobuf.is_kind(api_version, kind):
        raise unsupported_media_type((JSON, YAML))
    try:
        return protobuf.decode(body, api_version, kind)
    except protobuf.ProtobufError as error:
        if error.kind:  # the envelope was right
            found, version = error.kind, error.version
            why = f'{error} in scheme "{SCHEME}"' if str(error).startswith("no kind ") else str(error)
            raise bad_request(f'{found} in version "{version}" cannot be handled as a {kind}: {why}') from None
        raise _unrecognized(body, kind, str(error)) from None


def _complaint(body: bytes) -> str:
    """What is wrong with a malformed body, in the words of Go's encoding/json."""
    from podkeeper.api import gojson  # nobody needs it as long as bodies are right

    return gojson.complaint(body) or "invalid character in numeric literal"


def _unrecognized(body: bytes, kind: str, why: str) -> ApiError:
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({_summary(body)})")


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    cut, more = body[:_SUMMARY], " ..." if len(body) > _SUMMARY else ""
    return (cut.decode("utf-8", "replace") if body[:1] == b"{" else cut.hex()) + more


def identify(
    tree: Any, resource: Resource, kind: str = "", api_version: str = "", body: bytes | None = None
) -> dict[str, Any]:
    """Checks apiVersion and kind against what the path expects, fills them in where they are missing: only objects of
    custom resources must have them. Raises 400, and 422 for a custom resource's other kind.

    ``body`` is what messages show of it."""
    expected_kind, expected_version = kind or resource.kind, api_version or resource.api_version
    if tree is None:
        tree = {}  # to Go, null is an object without members
    if not isinstance(tree, dict):
        raise _unread(f"Go value of type {_TYPE_META}", tree, expected_kind, _again(tree) if body is None else body)
    found_version, found_kind = tree.get("apiVersion"), tree.get("kind")
    if found_version == expected_version and found_kind == expected_kind:
        return tree
    shown = _again(tree) if body is None else body
    for name, value in tree.items():
        if name in ("apiVersion", "kind") and value is not None and not isinstance(value, str):
            raise _unread(f"Go struct field .{name} of type string", value, expected_kind, shown)
    if found_version and found_version.count("/") > 1:
        raise _unrecognized(shown, expected_kind, f"unexpected GroupVersion string: {found_version}")
    if resource.schema is not None and expected_kind == resource.kind:
        _identify_custom(tree, resource, shown)
    found_version, found_kind = found_version or expected_version, found_kind or expected_kind
    if found_kind != expected_kind or not _is_known(found_kind, found_version, expected_version):
        why = other_kind(tree, found_kind, found_version, (expected_kind, expected_version))
        short = found_version.rpartition("/")[2]
        raise bad_request(f'{found_kind} in version "{short}" cannot be handled as a {expected_kind}: {why}')
    if found_version != expected_version:
        why = f"does not match the expected API version ({expected_version})"
        raise bad_request(f"the API version in the data ({found_version}) {why}")
    tree["apiVersion"], tree["kind"] = found_version, found_kind
    return tree


def _identify_custom(tree: dict[str, Any], resource: Resource, shown: bytes) -> None:
    """Raises what is told of an object that does not name its version and kind, or another."""
    kind, version = tree.get("kind"), tree.get("apiVersion") or ""
    if not kind:
        text = shown.decode("utf-8", "replace")
        raise _unrecognized(shown, resource.kind, f"Object 'Kind' is missing in '{text}'")
    if version != resource.api_version:
        why = f"does not match the expected API version ({resource.api_version})"
        raise bad_request(f"the API version in the data ({version}) {why}")
    raise other_custom_kind(resource, tree)


def _unread(where: str, value: Any, expected_kind: str, shown: bytes) -> ApiError:
    why = f"json: cannot unmarshal {_go_type(value)} into {where}"
    return _unrecognized(shown, expected_kind, f"couldn't get version/kind; json parse error: {why}")


def _again(tree: Any) -> bytes:
    """A tree as JSON again, numbers of any size included; nothing for one too deep to be shown."""
    try:
        return json.dumps(tree, separators=(",", ":")).encode()
    except RecursionError:
        return b""


def _go_type(value: Any) -> str:
    return {str: "string", bool: "bool", list: "array", dict: "object"}.get(type(value), "number")


def _is_known(kind: str, version: str, expected_version: str) -> bool:
    from podkeeper.api import resources

    group, _, short = version.rpartition("/")
    return version == expected_version or resources.for_kind(group, short, kind) is not None
